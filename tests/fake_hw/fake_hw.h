/* SPDX-License-Identifier: BSD-2-Clause */
/* fake_hw.h - what the functions of src/vmx/root.h were asked for, in place of a processor. */
#ifndef CASCADE_TESTS_FAKE_HW_H
#define CASCADE_TESTS_FAKE_HW_H

#include <stddef.h>
#include <stdint.h>

struct fake_hw {
        size_t ept_flushes;
        uint64_t last_eptp;
};
extern struct fake_hw fake_hw; /* a test may clear it */

#endif
