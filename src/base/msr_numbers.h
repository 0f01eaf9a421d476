/* SPDX-License-Identifier: BSD-2-Clause */
/* msr_numbers.h - the model-specific registers that cascade names, outside VMX's own. SDM volume 4. [pure] */
#ifndef CASCADE_BASE_MSR_NUMBERS_H
#define CASCADE_BASE_MSR_NUMBERS_H

#define MSR_TSC             0x010
#define MSR_PLATFORM_ID     0x017
#define MSR_APIC_BASE       0x01b
#define MSR_TSC_ADJUST      0x03b
#define MSR_SPEC_CTRL       0x048
#define MSR_PRED_CMD        0x049
#define MSR_BIOS_SIGN       0x08b
#define MSR_MTRR_CAP        0x0fe
#define MSR_ARCH_CAPS       0x10a
#define MSR_SYSENTER_CS     0x174
#define MSR_SYSENTER_ESP    0x175
#define MSR_SYSENTER_EIP    0x176
#define MSR_MCG_CAP         0x179
#define MSR_MCG_STATUS      0x17a
#define MSR_MISC_ENABLE     0x1a0
#define MSR_DEBUGCTL        0x1d9
#define MSR_MTRR_PHYS_FIRST 0x200
#define MSR_MTRR_PHYS_LAST  0x20f
#define MSR_MTRR_FIX_64K    0x250
#define MSR_MTRR_FIX_16K_0  0x258
#define MSR_MTRR_FIX_16K_1  0x259
#define MSR_MTRR_FIX_4K_0   0x268
#define MSR_MTRR_FIX_4K_7   0x26f
#define MSR_PAT             0x277
#define MSR_MTRR_DEF_TYPE   0x2ff
#define MSR_TSC_DEADLINE    0x6e0
#define MSR_X2APIC_FIRST    0x800
#define MSR_X2APIC_LAST     0x8ff
#define MSR_XSS             0xda0
#define MSR_EFER            0xc0000080
#define MSR_STAR            0xc0000081
#define MSR_LSTAR           0xc0000082
#define MSR_CSTAR           0xc0000083
#define MSR_FMASK           0xc0000084
#define MSR_FS_BASE         0xc0000100
#define MSR_GS_BASE         0xc0000101
#define MSR_KERNEL_GS_BASE  0xc0000102
#define MSR_TSC_AUX         0xc0000103

#endif
