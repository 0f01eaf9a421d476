/* SPDX-License-Identifier: BSD-2-Clause */
#include "fake_hw.h"
#include "vmx/root.h"

struct fake_hw fake_hw;

void ept_flush(const struct vmx_caps *caps, uint64_t eptp)
{
        fake_hw.ept_flushes++;
        fake_hw.last_eptp = eptp;
}
