/* SPDX-License-Identifier: BSD-2-Clause */
/* The VMCS of twin.h: what is in it is known at all times, so that putting it right costs no more writes than
 * what a case or its guest changed. */
#include "base/libc.h"
#include "base/x86.h"
#include "hw/cpu.h"
#include "twin.h"

static uint64_t width_mask(const struct vmcs_field_info *f)
{
        return BITS(8 * vmcs_width_bytes(f->width) - 1, 0);
}

static enum vmcs_field_id find(uint64_t field)
{
        struct vmcs_field_info f;
        BUG_UNLESS(vmcs_field_find(field, &f) && !f.high);
        return f.id;
}

uint64_t twin_get(const struct twin *t, uint64_t field)
{
        return t->now[find(field)];
}

static void note(struct twin *t, enum vmcs_field_id id, uint64_t value)
{
        t->now[id] = value;
        vmcs12_write(&t->image, &t->info[id], value);
}

static void mark_dirty(struct twin *t, enum vmcs_field_id id)
{
        if (!t->dirty[id])
                t->dirty_ids[t->dirty_count++] = (uint16_t)id;
        t->dirty[id] = true;
}

void twin_set_quietly(struct twin *t, uint64_t field, uint64_t value)
{
        const enum vmcs_field_id id = find(field);
        value &= width_mask(&t->info[id]);
        if (!t->exists[id]) {
                t->absent = true;
                twin_see(t, " absent %s", vmcs_field_name(field));
        }
        if (value == t->now[id])
                return;
        if (t->exists[id])
                vmwrite(field, value);
        note(t, id, value);
        mark_dirty(t, id);
}

void twin_set(struct twin *t, uint64_t field, uint64_t value)
{
        const uint64_t mask = width_mask(&t->info[find(field)]);
        twin_what(t, " %s=0x%llx", vmcs_field_name(field), (unsigned long long)(value & mask));
        twin_set_quietly(t, field, value);
}

static void write_base(struct twin *t, enum vmcs_field_id id)
{
        const uint64_t want = t->base[t->at][id];
        if (t->info[id].type == TYPE_READ_ONLY || t->now[id] == want)
                return;
        if (t->exists[id])
                vmwrite(t->info[id].enc, want);
        note(t, id, want);
}

void twin_use(struct twin *t, enum twin_base base)
{
        if (base == t->at)
                return;
        t->at = base;
        for (unsigned id = 0; id < VMCS_FIELD_COUNT; id++)
                write_base(t, id);
}

static void clean(struct twin *t)
{
        for (unsigned i = 0; i < t->dirty_count; i++) {
                write_base(t, t->dirty_ids[i]);
                t->dirty[t->dirty_ids[i]] = false;
        }
        t->dirty_count = 0;
}

static bool enter(struct twin *t)
{
        struct l2 *l = &t->l2;
        const uint32_t flags = l2_enter(&l->gprs, !l->launched[0], &l->host_rsp[0]);
        if (flags) {
                twin_see_status(t, flags & RFLAGS_CF ? HW_FAIL_INVALID : HW_FAIL_VALID);
                return false;
        }
        if (!(vmread(F_exit_reason) & EXIT_REASON_ENTRY_FAIL))
                l->launched[0] = true;
        return true;
}

/* What the guest changed is known from here on. */
static void read_back(struct twin *t)
{
        t->changed_count = 0;
        for (unsigned i = 0; i < t->read_back_count; i++) {
                const enum vmcs_field_id id = t->read_back[i];
                const uint64_t value = vmread(t->info[id].enc);
                if (value == t->now[id])
                        continue;
                t->changed[t->changed_count++] = (struct twin_change){(uint16_t)id, t->now[id]};
                note(t, id, value);
                mark_dirty(t, id);
        }
}

void twin_run(struct twin *t)
{
        if (t->absent)
                return;
        t->violated = twin_violated(t);
        if (!enter(t))
                return;
        t->host_changed |= t->dirty[FI_exit_ctls];
        for (unsigned i = 0; i < t->dirty_count; i++)
                t->host_changed |= t->info[t->dirty_ids[i]].type == TYPE_HOST;
        read_back(t);
        twin_show_exit(t);
}

void twin_run_at(struct twin *t, const void *code)
{
        if (t->at == BASE_REAL)
                twin_set_quietly(t, F_guest_cs_base, (uint64_t)code);
        else
                twin_set_quietly(t, F_guest_rip, (uint64_t)code);
        twin_run(t);
}

/* Bochs 2.7 keeps blocking by NMI, and that of virtual NMIs, over VM entries and exits until an IRET. */
static void unblock_nmi(struct twin *t)
{
        twin_iret();
        if (!(t->l2.caps.pin.may1 & PIN_VIRTUAL_NMI))
                return;
        twin_use(t, BASE_64);
        twin_set_quietly(t, F_pin_ctls, twin_get(t, F_pin_ctls) | PIN_NMI | PIN_VIRTUAL_NMI);
        twin_set_quietly(t, F_guest_rip, (uint64_t)twin_iret_vmcall);
        BUG_UNLESS(enter(t));
        read_back(t);
        clean(t);
}

void twin_restore(struct twin *t)
{
        const bool nmi = t->dirty[FI_guest_interruptibility];
        clean(t);
        if (t->host_changed) {
                BUG_UNLESS(enter(t));
                read_back(t);
                clean(t);
                t->host_changed = false;
        }
        if (nmi)
                unblock_nmi(t);
        memset(&t->l2.gprs, 0, sizeof(t->l2.gprs));
        t->absent = false;
        t->violated = NULL;
}

void twin_prepare(struct twin *t)
{
        struct l2 *l = &t->l2;
        l2_clear(l, 0);
        l2_load(l, 0);
        for (unsigned id = 0; id < VMCS_FIELD_COUNT; id++) {
                const struct vmcs_field_info f = vmcs_field_at(id);
                t->info[id] = f;
                t->exists[id] = vmcs_field_exists(&f, &l->caps);
                if (t->exists[id] && f.type != TYPE_READ_ONLY)
                        vmwrite(f.enc, 0);
                if (t->exists[id] && f.home == HOME_HW && f.type != TYPE_READ_ONLY && f.shadow != SHADOW_NONE)
                        t->read_back[t->read_back_count++] = (uint16_t)id;
        }
        l2_forget(l);
        l2_reset(l);
        for (unsigned id = 0; id < VMCS_FIELD_COUNT; id++)
                if (t->exists[id] && t->info[id].type != TYPE_READ_ONLY)
                        note(t, id, vmread(t->info[id].enc));
        twin_guest_prepare(t);
        t->at = TWIN_BASES;
        twin_use(t, BASE_64);
}
