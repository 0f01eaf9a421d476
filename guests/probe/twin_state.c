/* SPDX-License-Identifier: BSD-2-Clause */
/* Classes control, host, guest, legacy: one field of a valid VMCS is wrong, or nearly. Class mixed: several
 * are. Class toggle: controls that fit together. SDM 3C chapter "VM Entries". */
#include "base/x86.h"
#include "twin_classes.h"

#define EXTRA        8u /* values of a field beside its flipped bits */
#define MIXED_CASES  4000u
#define TOGGLE_CASES 1500u
#define MIXED_FIELDS 3u
#define ABOVE_RAM    BITS(63, 30) /* such an address is not mapped by the EPT: using it exits */

/* Fields with bits that are left alone, because with another value the host would be lost, the guest would
 * run through the probe's memory, or what happens would depend on memory that is not ours. */
static const struct careful {
        enum vmcs_field field;
        uint64_t may_change;
} careful[] = {
        {F_host_cr3, BITS(63, 40) | BITS(11, 0)},
        {F_host_rsp, 0}, /* every entry sets it */
        {F_host_rip, BITS(63, 48)},
        {F_guest_cr3, ABOVE_RAM | BITS(11, 0)},
        {F_guest_rip, BITS(63, 32)},
        {F_guest_cr4, ~BITS(21, 20)}, /* SMEP, SMAP: every page is the user's, and faults would not end */
        {F_guest_rsp, ABOVE_RAM | BITS(3, 0)},
        {F_guest_gdtr_base, ABOVE_RAM},
        {F_guest_idtr_base, ABOVE_RAM},
        {F_guest_tr_base, ABOVE_RAM},
        {F_guest_cs_base, ABOVE_RAM},
        {F_guest_cs_limit,
         BITS(31, 12)}, /* Bochs looks at a limit in the page of the code when it decodes, not later */
        {F_guest_ss_base, ABOVE_RAM},
        {F_guest_activity,
         BITS(31, 2) | BIT(0)}, /* nothing wakes a single processor from waiting for a SIPI */
        {F_guest_preemption_timer, BITS(31, 24)}, /* the guest's one instruction comes first */
        {F_guest_pdpte0, BITS(63, 40) | BITS(11, 0)},
        {F_eptp, BITS(63, 40) | BITS(11, 0)},
        {F_exit_msr_store_count, BITS(6, 0)}, /* a longer list leads beyond ours, and that to an abort */
        {F_exit_msr_load_count, BITS(6, 0)},
        {F_entry_msr_load_count, BITS(6, 0)},
        {F_exit_msr_store, BITS(63, 40) | BITS(3, 0)},
        {F_exit_msr_load, BITS(63, 40) | BITS(3, 0)},
        {F_entry_msr_load, BITS(63, 40) | BITS(3, 0)},
};

static uint64_t may_change(enum vmcs_field field)
{
        for (unsigned i = 0; i < ARRAY_LEN(careful); i++)
                if (careful[i].field == field)
                        return careful[i].may_change;
        return ~0ull;
}

static unsigned bits_of(const struct vmcs_field_info *f)
{
        return 8 * vmcs_width_bytes(f->width);
}

static unsigned values_of(const struct vmcs_field_info *f)
{
        return f->type == TYPE_READ_ONLY ? 0 : bits_of(f) + EXTRA;
}

/* The n-th interesting value of a field: each bit flipped, then boundaries, then anything. */
static uint64_t value_of(struct twin *t, const struct vmcs_field_info *f, unsigned n)
{
        const uint64_t now = twin_get(t, f->enc);
        uint64_t value;
        if (n < bits_of(f)) {
                value = now ^ BIT(n);
        } else {
                const uint64_t extra[EXTRA] = {
                        0,
                        ~0ull,
                        now + 1,
                        now - 1,
                        (~0ull << 47) ^ (now & BITS(11, 0)),
                        twin_random(t),
                        twin_random(t),
                        twin_random(t) & twin_random(t) & twin_random(t),
                };
                value = extra[(n - bits_of(f)) % EXTRA];
        }
        value = now ^ ((value ^ now) & may_change((enum vmcs_field)f->enc));
        if (f->enc == F_entry_intr_info)
                value |= INTR_VALID;
        return value;
}

/* --- one field --- */

/* Cases of one field follow those of the field before it that has the same type. Made once: it is a long way
 * through all fields. */
static const struct order {
        uint16_t first[VMCS_FIELD_COUNT + 1];
        unsigned total[4];
} * order(void)
{
        static struct order o;
        for (unsigned id = 0; !o.first[VMCS_FIELD_COUNT] && id < VMCS_FIELD_COUNT; id++) {
                const struct vmcs_field_info f = vmcs_field_at(id);
                o.first[id] = (uint16_t)o.total[f.type];
                o.total[f.type] += values_of(&f);
        }
        o.first[VMCS_FIELD_COUNT] = 1;
        return &o;
}

static void one_field(struct twin *t, enum vmcs_type type, unsigned n)
{
        const struct order *o = order();
        unsigned id = 0;
        while (t->info[id].type != type || n - o->first[id] >= values_of(&t->info[id]))
                id++;
        const struct vmcs_field_info *f = &t->info[id];
        twin_set(t, f->enc, value_of(t, f, n - o->first[id]));
        twin_run(t);
}

unsigned control_count(void)
{
        return order()->total[TYPE_CONTROL];
}

void control_one(struct twin *t, unsigned n)
{
        twin_use(t, BASE_64);
        one_field(t, TYPE_CONTROL, n);
}

unsigned host_count(void)
{
        return order()->total[TYPE_HOST];
}

void host_one(struct twin *t, unsigned n)
{
        twin_use(t, BASE_64);
        one_field(t, TYPE_HOST, n);
        if (t->host_changed)
                twin_show_host(t);
}

unsigned guest_count(void)
{
        return order()->total[TYPE_GUEST];
}

void guest_one(struct twin *t, unsigned n)
{
        twin_use(t, BASE_64);
        one_field(t, TYPE_GUEST, n);
}

/* The same in the modes without 64 bits, where other rules hold. */
unsigned legacy_count(void)
{
        return (TWIN_BASES - 1) * order()->total[TYPE_GUEST];
}

void legacy_one(struct twin *t, unsigned n)
{
        const unsigned each = order()->total[TYPE_GUEST];
        twin_use(t, 1 + n / each);
        twin_what(t, " base %u", t->at);
        one_field(t, TYPE_GUEST, n % each);
}

/* --- several --- */

unsigned mixed_count(void)
{
        return MIXED_CASES;
}

/* Guest state is where most rules are, and where they depend on each other. */
static void any_field(struct twin *t)
{
        static const enum vmcs_type wanted[] = {TYPE_GUEST, TYPE_GUEST, TYPE_GUEST, TYPE_CONTROL, TYPE_HOST};
        const enum vmcs_type type = wanted[twin_random(t) % ARRAY_LEN(wanted)];
        for (;;) {
                const struct vmcs_field_info f = t->info[twin_random(t) % VMCS_FIELD_COUNT];
                if (f.type != type)
                        continue;
                twin_set(t, f.enc, value_of(t, &f, (unsigned)(twin_random(t) % values_of(&f))));
                return;
        }
}

void mixed_one(struct twin *t, unsigned n)
{
        twin_use(t, n % TWIN_BASES);
        twin_what(t, " base %u", t->at);
        for (uint64_t left = 2 + twin_random(t) % (MIXED_FIELDS - 1); left; left--)
                any_field(t);
        twin_run(t);
}

/* --- controls --- */

unsigned toggle_count(void)
{
        return TOGGLE_CASES;
}

/* A fixed set, whatever is offered: what a processor lacks fails on it, and the capabilities that a run
 * prints explain that. Left out is what needs memory of its own or lets a guest wait for ever. */
#define TOGGLE_PIN (PIN_EXT_INTR | PIN_NMI | PIN_VIRTUAL_NMI)
#define TOGGLE_PROC                                                                                          \
        (PROC_INTR_WINDOW | PROC_TSC_OFFSET | PROC_HLT | PROC_INVLPG | PROC_MWAIT | PROC_RDPMC |             \
         PROC_RDTSC | PROC_CR3_LOAD | PROC_CR3_STORE | PROC_CR8_LOAD | PROC_CR8_STORE | PROC_NMI_WINDOW |    \
         PROC_MOV_DR | PROC_UNCOND_IO | PROC_IO_BITMAPS | PROC_MSR_BITMAPS | PROC_MONITOR | PROC_PAUSE |     \
         PROC_SECONDARY)
#define TOGGLE_PROC2                                                                                         \
        (PROC2_EPT | PROC2_DESC_TABLE | PROC2_RDTSCP | PROC2_VPID | PROC2_WBINVD | PROC2_UNRESTRICTED |      \
         PROC2_PLE | PROC2_RDRAND | PROC2_INVPCID)
#define TOGGLE_EXIT                                                                                          \
        (EXIT_CTL_SAVE_DEBUG | EXIT_CTL_ACK_INTR | EXIT_CTL_SAVE_PAT | EXIT_CTL_LOAD_PAT |                   \
         EXIT_CTL_SAVE_EFER | EXIT_CTL_LOAD_EFER | EXIT_CTL_SAVE_PREEMPTION_TIMER)
#define TOGGLE_ENTRY (ENTRY_CTL_LOAD_DEBUG | ENTRY_CTL_LOAD_PAT | ENTRY_CTL_LOAD_EFER)

static void toggle(struct twin *t, enum vmcs_field field, uint32_t bits)
{
        twin_set(t, field, twin_get(t, field) ^ (twin_random(t) & twin_random(t) & bits));
}

void toggle_one(struct twin *t, unsigned n)
{
        twin_use(t, n % TWIN_BASES);
        twin_what(t, " base %u", t->at);
        toggle(t, F_pin_ctls, TOGGLE_PIN);
        toggle(t, F_proc_ctls, TOGGLE_PROC);
        toggle(t, F_proc2_ctls, TOGGLE_PROC2);
        toggle(t, F_exit_ctls, TOGGLE_EXIT);
        toggle(t, F_entry_ctls, TOGGLE_ENTRY);
        if (twin_random(t) & 1)
                twin_set(t, F_vpid, 1 + twin_random(t) % 4);
        if (twin_random(t) & 1)
                twin_set(t, F_guest_interruptibility,
                         twin_random(t) & (INTRBLK_STI | INTRBLK_MOV_SS | INTRBLK_NMI));
        if (twin_random(t) & 1)
                twin_set(t, F_guest_rflags, RFLAGS_FIXED1 | (twin_random(t) & (RFLAGS_IF | RFLAGS_TF)));
        twin_run(t);
        twin_show_host(t);
}
