/* SPDX-License-Identifier: BSD-2-Clause */
/* The hostile guest's VMCSs: field values that are wild, but bring the probe back. */
#include "base/libc.h"
#include "base/x86.h"
#include "hostile.h"
#include "hw/cpu.h"

#define TIMER_MAX 0x1fffu /* ticks that the guest's guest gets at most */
#define LIST_MAX  3

uint8_t hostile_vmcs_page[HOSTILE_VMCSS][PAGE_SIZE] __attribute__((aligned(4096)));

void vmcs_forget(struct hostile *h, int i)
{
        h->vmcs[i].launched = false;
}

/* Whether the guest hypervisor has this field: others only answer with an error. */
static bool has(const struct hostile *h, const struct vmcs_field_info *f)
{
        return vmcs_field_exists(f, &h->l2.caps);
}

void vmcs_init(struct hostile *h)
{
        struct l2 *l = &h->l2;
        BUG_UNLESS(hw_vmclear(HPA((uint64_t)l2_vmcs_page[0])) == HW_OK);
        l2_load(l, 0);
        l2_forget(l);
        l2_reset(l);
        for (unsigned id = 0; id < VMCS_FIELD_COUNT; id++) {
                const struct vmcs_field_info f = vmcs_field_at((enum vmcs_field_id)id);
                h->good[id] = has(h, &f) ? vmread(f.enc) : 0;
        }
        BUG_UNLESS(hw_vmclear(HPA((uint64_t)l2_vmcs_page[0])) == HW_OK);
        h->good[FI_pin_ctls] |= PIN_PREEMPTION_TIMER;
        h->good[FI_guest_preemption_timer] = TIMER_MAX;
        h->good[FI_eptp] = good_eptp();
        h->good[FI_guest_cr3] = good_cr3();
        h->good[FI_exit_msr_store] = exit_store_list();
        h->good[FI_exit_msr_load] = exit_load_list();
}

/* --- values --- */

/* Fields that hold an address of a page that somebody may write or read. */
static bool is_page(uint32_t enc)
{
        return enc == F_msr_bitmap || enc == F_virtual_apic_page || enc == F_apic_access_page || enc == F_posted_intr_desc ||
               enc == F_pml_address || enc == F_vmread_bitmap || enc == F_vmwrite_bitmap || enc == F_ve_info || enc == F_sppt_pointer ||
               enc == F_executive_vmcs;
}

static uint64_t control_value(struct hostile *h, const struct vmcs_field_info *f)
{
        static const uint32_t types[] = { 0, 2u << 8 | 2, 3u << 8 | 6, 3u << 8 | 1, 4u << 8 | 0x80, 5u << 8 | 1, 6u << 8 | 3, 0x40, 7u << 8, 1u << 8,
                                          3u << 8 | BIT(11) | 13, 3u << 8 | BIT(11) | 14, 3u << 8 | BIT(11) | 8 };
        const uint64_t good = h->good[f->id];
        const bool page = is_page(f->enc);
        switch (f->enc) {
        case F_pin_ctls: /* the timer brings the probe back from any loop */
                return (one_in(h, 2) ? good ^ BIT(below(h, 8)) : any_number(h)) | PIN_PREEMPTION_TIMER;
        case F_proc_ctls: /* EPT12 and I/O exits protect it */
                return (good ^ BIT(below(h, 32)) ^ (one_in(h, 2) ? BIT(below(h, 32)) : 0)) | PROC_SECONDARY | PROC_UNCOND_IO;
        case F_proc2_ctls:
                return (good ^ BIT(below(h, 32)) ^ (one_in(h, 2) ? BIT(below(h, 32)) : 0)) | PROC2_EPT;
        case F_exit_ctls:
                return good ^ BIT(below(h, 32));
        case F_entry_ctls:
                return good ^ BIT(below(h, 18));
        case F_io_bitmap_a:
        case F_io_bitmap_b:
                return any_io_bitmap(h);
        case F_eptp:
                return any_eptp(h);
        case F_eptp_list:
                return any_eptp_list(h);
        case F_exit_msr_store_count:
        case F_exit_msr_load_count:
                return below(h, LIST_MAX + 1);
        case F_exit_msr_store:
        case F_exit_msr_load: /* as it is, or one that VM entry refuses */
                return one_in(h, 2) ? good : one_in(h, 2) ? good | 8 : good | BIT(h->l2.caps.maxphyaddr);
        case F_entry_msr_load:
                return one_in(h, 4) ? any_address(h) : any_frame(h);
        case F_entry_msr_load_count:
                return one_in(h, 4) ? any_number(h) : below(h, 4);
        case F_entry_intr_info:
                return one_in(h, 4) ? any_number(h) : PICK(h, types) | INTR_VALID;
        case F_guest_preemption_timer:
                return below(h, TIMER_MAX);
        }
        if (page)
                return one_in(h, 2) ? good : any_frame(h);
        return any_number(h);
}

/* Host state is as it must be, or VM entry refuses it. */
static uint64_t host_value(struct hostile *h, const struct vmcs_field_info *f)
{
        const uint64_t good = h->good[f->id];
        if (one_in(h, 2))
                return good;
        switch (f->enc) {
        case F_host_rsp: /* written before each entry */
        case F_host_sysenter_cs:
                return any_number(h);
        case F_host_cr0:
                return one_in(h, 2) ? good & ~CR0_NE : good & ~CR0_PG;
        case F_host_cr3:
                return good | BIT(h->l2.caps.maxphyaddr + below(h, 12));
        case F_host_cr4:
                return good & ~(one_in(h, 2) ? CR4_VMXE : CR4_PAE);
        case F_host_efer:
                return good | BIT(3);
        case F_host_pat:
                return 2;
        case F_host_perf_global:
                return good;
        }
        return f->width == W_U16 ? good | 1u << below(h, 3) : BIT(62) | (rnd(h) >> 16);
}

static uint64_t guest_value(struct hostile *h, const struct vmcs_field_info *f)
{
        const uint64_t good = h->good[f->id];
        switch (f->enc) {
        case F_guest_cr3:
        case F_guest_pdpte0:
        case F_guest_pdpte1:
        case F_guest_pdpte2:
        case F_guest_pdpte3:
                return any_cr3(h) | below(h, 2);
        case F_guest_preemption_timer:
                return below(h, TIMER_MAX);
        case F_guest_rip:
                return one_in(h, 16) ? any_number(h) : any_code(h);
        case F_guest_rsp:
                return any_address(h);
        case F_vmcs_link:
                return one_in(h, 2) ? ~0ull : any_address(h);
        case F_guest_activity: /* nothing may ever wake the guest from the states between */
                return one_in(h, 3) ? ACTIVITY_WAIT_SIPI + 1 : below(h, ACTIVITY_SHUTDOWN);
        case F_guest_interruptibility:
                return one_in(h, 2) ? BIT(below(h, 6)) : 0;
        }
        switch (below(h, 4)) {
        case 0:
                return any_number(h);
        case 1:
                return good;
        default:
                return good ^ BIT(below(h, 8 * vmcs_width_bytes(f->width)));
        }
}

uint64_t tame_value(struct hostile *h, const struct vmcs_field_info *f)
{
        const int i = h->current;
        if (i >= 0)
                h->vmcs[i].touched[f->id] = true;
        if ((i < 0 || h->vmcs[i].content == VMCS_NOISE) && f->enc == F_pin_ctls)
                return 0; /* keeps it invalid, whatever else comes to be valid in it */
        if (f->enc == F_vmcs_link)
                return guest_value(h, f);
        switch (f->type) {
        case TYPE_CONTROL:
                return control_value(h, f);
        case TYPE_HOST:
                return host_value(h, f);
        case TYPE_GUEST:
                return guest_value(h, f);
        case TYPE_READ_ONLY:
                break;
        }
        return any_number(h);
}

/* --- entries --- */

static void put(struct hostile *h, enum vmcs_field_id id, uint64_t value)
{
        const struct vmcs_field_info f = vmcs_field_at(id);
        if (f.type == TYPE_READ_ONLY || !has(h, &f))
                return;
        if (f.type != TYPE_GUEST || vmread(f.enc) != value) /* a VMREAD of guest state is cheap */
                vmwrite(f.enc, value);
        h->vmcs[h->current].touched[id] = value != h->good[id];
}

static void make_good(struct hostile *h)
{
        const bool all = h->vmcs[h->current].content != VMCS_SAFE;
        for (unsigned id = 0; id < VMCS_FIELD_COUNT; id++)
                if (all || (h->vmcs[h->current].touched[id] && !one_in(h, 64)))
                        put(h, (enum vmcs_field_id)id, h->good[id]);
        h->vmcs[h->current].content = VMCS_SAFE;
}

static void put_segments(struct hostile *h, uint32_t ar, uint32_t limit)
{
        for (unsigned i = 0; i < 6; i++) {
                put(h, (enum vmcs_field_id)(FI_guest_es_ar + i), ar);
                put(h, (enum vmcs_field_id)(FI_guest_es_limit + i), limit);
        }
}

/* Another mode than 64-bit: protected mode without paging, or real mode. */
static void leave_long_mode(struct hostile *h, bool real)
{
        put(h, FI_entry_ctls, h->good[FI_entry_ctls] & ~(uint64_t)ENTRY_CTL_GUEST_64);
        put(h, FI_guest_efer, 0);
        put(h, FI_guest_cr0, h->good[FI_guest_cr0] & ~(CR0_PG | (real ? CR0_PE : 0)));
        if (real)
                put_segments(h, 0x93, 0xffff);
        else
                put(h, FI_guest_cs_ar, 0xc09b);
}

static void choose_place(struct hostile *h, bool real)
{
        const uint64_t code = any_code(h);
        if (real) { /* a base that is no multiple of 16 times the selector is fine for VM entry */
                put(h, FI_guest_cs_base, ALIGN_DOWN(code, 16));
                put(h, FI_guest_rip, code & 15);
                put(h, FI_guest_rsp, rnd(h) & 0xffff);
                return;
        }
        put(h, FI_guest_rip, code);
        put(h, FI_guest_rsp, any_address(h));
}

static void spoil(struct hostile *h)
{
        for (unsigned n = below(h, 4); n; n--) {
                const struct vmcs_field_info f = vmcs_field_at((enum vmcs_field_id)below(h, VMCS_FIELD_COUNT));
                if (has(h, &f) && f.type != TYPE_READ_ONLY)
                        vmwrite(f.enc, tame_value(h, &f));
        }
}

static void any_registers(struct hostile *h)
{
        for (unsigned i = 0; i < NR_GPRS; i++)
                h->l2.gprs.r[i] = one_in(h, 2) ? any_address(h) : any_number(h);
}

/* The guest's guest has run: all of its state may be another, and controls that a field names as the exit leaves them. */
static void has_run(struct hostile *h)
{
        for (unsigned id = 0; id < VMCS_FIELD_COUNT; id++) {
                const struct vmcs_field_info f = vmcs_field_at((enum vmcs_field_id)id);
                if (f.type == TYPE_GUEST)
                        h->vmcs[h->current].touched[id] = true;
        }
        h->vmcs[h->current].touched[FI_entry_ctls] = true;
        h->vmcs[h->current].touched[FI_entry_intr_info] = true;
}

static void enter(struct hostile *h, bool launch)
{
        h->instructions++;
        h->entries++;
        uint64_t host_rsp = 0; /* not known: written */
        if (l2_enter(&h->l2.gprs, launch, &host_rsp)) {
                h->failed++;
                return;
        }
        if (h->current < 0 || (vmread(F_exit_reason) & EXIT_REASON_ENTRY_FAIL)) {
                h->failed++;
                return;
        }
        h->exits++;
        h->vmcs[h->current].launched = true;
        has_run(h);
}

void enter_prepared(struct hostile *h)
{
        const unsigned mode = below(h, 4);
        if (!h->vmxon || h->current < 0)
                return;
        make_good(h);
        if (mode >= 2)
                leave_long_mode(h, mode == 3);
        choose_place(h, mode == 3);
        spoil(h);
        any_registers(h);
        const bool launch = !h->vmcs[h->current].launched;
        enter(h, one_in(h, 16) ? !launch : launch);
}

void enter_raw(struct hostile *h)
{
        if (h->current >= 0 && h->vmcs[h->current].content == VMCS_SPOILT)
                return;
        if (!h->vmxon)
                return;
        any_registers(h);
        enter(h, one_in(h, 2));
}
