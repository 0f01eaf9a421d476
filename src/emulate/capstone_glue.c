/* SPDX-License-Identifier: BSD-2-Clause */
/* What libcapstone wants from its environment and the image does not otherwise have: the architectures that
 * are left out. cs_open() reaches them only for an architecture that nobody here asks for; defining their
 * entry points keeps the linker from pulling in their disassemblers. */
#include <capstone/capstone.h>
#include <stddef.h>

#define LEFT_OUT(arch)                                                                                       \
        cs_err arch##_global_init(void *engine);                                                             \
        cs_err arch##_option(void *engine, cs_opt_type type, size_t value);                                  \
        cs_err arch##_global_init(void *engine)                                                              \
        {                                                                                                    \
                return CS_ERR_ARCH;                                                                          \
        }                                                                                                    \
        cs_err arch##_option(void *engine, cs_opt_type type, size_t value)                                   \
        {                                                                                                    \
                return CS_ERR_ARCH;                                                                          \
        }

LEFT_OUT(AArch64)
LEFT_OUT(ARM)
LEFT_OUT(EVM)
LEFT_OUT(M680X)
LEFT_OUT(M68K)
LEFT_OUT(Mips)
LEFT_OUT(PPC)
LEFT_OUT(Sparc)
LEFT_OUT(SystemZ)
LEFT_OUT(TMS320C64x)
LEFT_OUT(XCore)
