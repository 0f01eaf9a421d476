/* SPDX-License-Identifier: BSD-2-Clause */
/* Whose is an exit of the guest's guest, with VMCS12's bitmaps anywhere: at the last byte of RAM, over the edge of it,
 * in the hole for devices, around 2^64. Bits are looked up a second time here, one address at a time.
 *
 * Input: control words, addresses of the bitmaps, the exit, then bytes for RAM's last pages. */
#include "base/bug.h"
#include "edges.h"
#include "nested/route.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t ram[EDGES_LOW + EDGES_HIGH];
static const struct guest_mem mem = { .ram = ram, .low_bytes = EDGES_LOW, .high_bytes = EDGES_HIGH };

/* A bit of a bitmap of `bytes` bytes; all of it is ones if it is not all RAM. */
static bool bit(uint64_t bitmap, uint64_t bytes, uint64_t which)
{
        if (!edges_is_ram(bitmap, bytes))
                return true;
        const uint64_t at = bitmap + which / 8;
        return ram[at < EDGES_LOW ? at : at - SIZE_4G + EDGES_LOW] >> which % 8 & 1;
}

static bool io_exits(const struct vmcs12 *v, uint64_t qualification)
{
        if (!(v->proc_ctls & PROC_IO_BITMAPS))
                return v->proc_ctls & PROC_UNCOND_IO;
        const unsigned port = (unsigned)(qualification >> 16 & 0xffff), bytes = (unsigned)(qualification & 7) + 1;
        bool exits = false;
        for (unsigned p = port; p < port + bytes; p++)
                exits |= p > 0xffff || bit(p & 0x8000 ? v->io_bitmap_b : v->io_bitmap_a, PAGE_SIZE, p & 0x7fff);
        return exits;
}

static bool msr_exits(const struct vmcs12 *v, uint32_t msr, bool write)
{
        const bool high = msr >= 0xc0000000u;
        if (!(v->proc_ctls & PROC_MSR_BITMAPS) || (msr & 0x3fffffff) > 0x1fff || (msr >> 30 != 0 && msr >> 30 != 3))
                return true;
        return bit(v->msr_bitmap, PAGE_SIZE, (write ? 0x4000u : 0) + (high ? 0x2000u : 0) + (msr & 0x1fff));
}

static bool field_exits(const struct vmcs12 *v, uint64_t bitmap, uint64_t encoding)
{
        return !(vmcs12_proc2(v) & PROC2_SHADOW) || encoding > 0x7fff || bit(bitmap, PAGE_SIZE, encoding);
}

static struct vmcs12 take_vmcs12(struct input *in)
{
        return (struct vmcs12){
                .pin_ctls = take_u32(in),      .proc_ctls = take_u32(in),       .proc2_ctls = take_u32(in),
                .exception_bitmap = take_u32(in), .pf_error_mask = take_u32(in), .pf_error_match = take_u32(in),
                .cr0_mask = take_u64(in),      .cr0_shadow = take_u64(in),      .cr4_mask = take_u64(in),
                .cr4_shadow = take_u64(in),    .cr3_target_count = take_u32(in), .cr3_target0 = take_u64(in),
                .io_bitmap_a = take_edge(in),  .io_bitmap_b = take_edge(in),    .msr_bitmap = take_edge(in),
                .vmread_bitmap = take_edge(in), .vmwrite_bitmap = take_edge(in),
        };
}

static void check_bitmaps(const struct vmcs12 *v, struct exit_info x)
{
        const enum exit_owner owner = route_l2_exit(v, &x, &mem);
        switch (x.reason) {
        case EXIT_IO:
                BUG_UNLESS((owner == OWNER_L1) == io_exits(v, x.qualification));
                break;
        case EXIT_RDMSR:
        case EXIT_WRMSR:
                BUG_UNLESS((owner == OWNER_L1) == msr_exits(v, (uint32_t)x.rcx, x.reason == EXIT_WRMSR));
                break;
        case EXIT_VMREAD:
                BUG_UNLESS((owner == OWNER_L1) == field_exits(v, v->vmread_bitmap, x.operand));
                break;
        case EXIT_VMWRITE:
                BUG_UNLESS((owner == OWNER_L1) == field_exits(v, v->vmwrite_bitmap, x.operand));
                break;
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const uint32_t with_bitmaps[] = { EXIT_IO, EXIT_RDMSR, EXIT_WRMSR, EXIT_VMREAD, EXIT_VMWRITE };
        struct input in = { data, size };
        struct exit_info x = {
                .reason = take_u32(&in), .qualification = take_u64(&in), .intr_info = take_u32(&in),
                .error_code = take_u32(&in), .rcx = take_u64(&in), .operand = take_u64(&in),
        };
        const struct vmcs12 v = take_vmcs12(&in);
        memset(ram, 0, sizeof(ram));
        take(&in, ram + EDGES_LOW - PAGE_SIZE, PAGE_SIZE);
        take(&in, ram + EDGES_LOW + EDGES_HIGH - PAGE_SIZE, PAGE_SIZE);

        const enum exit_owner owner = route_l2_exit(&v, &x, &mem);
        BUG_UNLESS(owner == route_l2_exit(&v, &x, &mem));
        if ((x.reason & EXIT_REASON_ENTRY_FAIL) || (x.reason & 0xffff) >= EXIT_REASON_COUNT)
                BUG_UNLESS(owner == OWNER_L1);
        for (size_t i = 0; i < ARRAY_LEN(with_bitmaps); i++) {
                x.reason = with_bitmaps[i];
                check_bitmaps(&v, x);
                x.operand &= BITS(14, 0);
                x.rcx &= 0xc0001fff;
        }
        return 0;
}
