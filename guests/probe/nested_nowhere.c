/* SPDX-License-Identifier: BSD-2-Clause */
/* Nested test: pointers of a guest hypervisor that lead nowhere. Where neither RAM nor a device answers, memory reads as
 * ones and loses what is written (what the bus of the emulated silicon does, and cascade); beyond the physical-address width
 * it is for VMX to refuse the pointer. Lines that begin with "nowhere: " are printed under cascade only: Bochs does
 * something of its own there. */
#include "base/libc.h"
#include "base/msr_numbers.h"
#include "base/x86.h"
#include "hw/cpu.h"
#include "hw/hypercall.h"
#include "nested.h"
#include "traps.h"

#define HOLE        0xd0000000ull   /* between RAM and devices */
#define BEYOND      0x3000000000ull /* within the physical-address width, above all RAM */
#define EPT_RWX     7u
#define EPT_WB      (6u << 3)
#define ENTRY_FAIL  EXIT_REASON_ENTRY_FAIL
#define FIELD_KEPT  0x1122334455667788ull

static const struct {
        const char *name;
        uint64_t at;
        bool wide; /* beyond the physical-address width */
} places[] = {
        { "the hole", HOLE, false },
        { "beyond RAM", BEYOND, false },
        { "the last page", 0, false }, /* of the physical-address width: filled in */
        { "beyond the width", 0, true },
        { "the end of 64 bits", ~BITS(11, 0), true },
};

static uint64_t place_at(const struct l2 *l, unsigned i)
{
        const uint64_t width = BIT(l->caps.maxphyaddr);
        return places[i].at ? places[i].at : places[i].wide ? width : width - PAGE_SIZE;
}

/* --- operands of VMX instructions --- */

static void instruction(struct l2 *l, enum hw_status s, uint32_t expected, const char *what, const char *where)
{
        const uint32_t error = vmx_error(s);
        check(l->p, error == expected, "%s, %s: error %u", what, where, error);
}

static void pointers(struct l2 *l)
{
        for (unsigned i = 0; i < ARRAY_LEN(places); i++) {
                const hpa_t at = HPA(place_at(l, i));
                instruction(l, hw_vmptrld(at), places[i].wide ? VMX_ERR_VMPTRLD_ADDRESS : VMX_ERR_VMPTRLD_REVISION, "VMPTRLD",
                            places[i].name);
                instruction(l, hw_vmclear(at), places[i].wide ? VMX_ERR_VMCLEAR_ADDRESS : 0, "VMCLEAR", places[i].name);
                if (places[i].wide)
                        instruction(l, hw_invept(INVEPT_SINGLE, at.raw | 0x1e), VMX_ERR_INV_OPERAND, "INVEPT", places[i].name);
        }
        __asm__ volatile("vmxoff" : : : "memory");
        for (unsigned i = 0; i < ARRAY_LEN(places); i++)
                check(l->p, hw_vmxon(HPA(place_at(l, i))) == HW_FAIL_INVALID, "VMXON, %s", places[i].name);
        BUG_UNLESS(hw_vmxon(HPA((uint64_t)l2_vmxon_page)) == HW_OK);
        l2_load(l, l->current);
}

/* The operand itself is nowhere. */
static void operands(struct l2 *l)
{
        void *const hole = (void *)HOLE;
        bool cf, zf;
#define OPERAND(text, what, bad, ...)                                                                        \
        __asm__ volatile(text : "=@ccc"(cf), "=@ccz"(zf) : [m] "r"(hole), ##__VA_ARGS__ : "memory");          \
        instruction(l, vmx_status(cf, zf), bad, what, "operand in the hole")
        OPERAND("vmptrld (%[m])", "VMPTRLD", VMX_ERR_VMPTRLD_ADDRESS);
        OPERAND("vmclear (%[m])", "VMCLEAR", VMX_ERR_VMCLEAR_ADDRESS);
        OPERAND("vmptrst (%[m])", "VMPTRST", 0);
        l2_set(l, F_guest_rip, FIELD_KEPT);
        OPERAND("vmread %[f], (%[m])", "VMREAD", 0, [f] "r"((uint64_t)F_guest_rip));
        OPERAND("vmwrite (%[m]), %[f]", "VMWRITE", 0, [f] "r"((uint64_t)F_guest_rip));
        check(l->p, vmread(F_guest_rip) == ~0ull, "VMWRITE from the hole writes ones");
        l2_set(l, F_guest_gs_base, 0);
        OPERAND("vmwrite (%[m]), %[f]", "VMWRITE of a field that is not shadowed for writing", 0, [f] "r"((uint64_t)F_guest_gs_base));
        check(l->p, vmread(F_guest_gs_base) == ~0ull, "it writes ones, too");
        OPERAND("invept (%[m]), %[t]", "INVEPT", VMX_ERR_INV_OPERAND, [t] "r"((uint64_t)INVEPT_SINGLE));
        OPERAND("invvpid (%[m]), %[t]", "INVVPID", VMX_ERR_INV_OPERAND, [t] "r"((uint64_t)INVVPID_SINGLE));
#undef OPERAND
}

/* --- fields that hold pointers --- */

static const struct {
        const char *what;
        enum vmcs_field field;
        uint32_t proc, proc2;         /* controls that make it matter */
        enum vmcs_field count;        /* of an MSR area: set to 1; 0: none */
        const uint8_t *code;
        uint32_t reason;              /* with a place within the width */
        uint64_t qualification;
        uint32_t wide_reason;         /* beyond it: L2_VMFAIL + error, or a failed entry */
        uint64_t wide_qualification;
} fields[] = {
        { "I/O bitmap A", F_io_bitmap_a, PROC_IO_BITMAPS, 0, 0, l2_out, EXIT_IO, 0, L2_VMFAIL + VMX_ERR_ENTRY_CONTROLS, 0 },
        { "I/O bitmap B", F_io_bitmap_b, PROC_IO_BITMAPS, 0, 0, l2_vmcall, EXIT_VMCALL, 0, L2_VMFAIL + VMX_ERR_ENTRY_CONTROLS, 0 },
        { "MSR bitmap", F_msr_bitmap, 0, 0, 0, l2_rdmsr, EXIT_RDMSR, 0, L2_VMFAIL + VMX_ERR_ENTRY_CONTROLS, 0 },
        { "VMREAD bitmap", F_vmread_bitmap, 0, PROC2_SHADOW, 0, l2_vmread, EXIT_VMREAD, 0, L2_VMFAIL + VMX_ERR_ENTRY_CONTROLS, 0 },
        { "VMWRITE bitmap", F_vmwrite_bitmap, 0, PROC2_SHADOW, 0, l2_vmcall, EXIT_VMCALL, 0, L2_VMFAIL + VMX_ERR_ENTRY_CONTROLS, 0 },
        { "MSR area of entries", F_entry_msr_load, 0, 0, F_entry_msr_load_count, l2_vmcall, ENTRY_FAIL | EXIT_ENTRY_MSR_LOAD, 1,
          L2_VMFAIL + VMX_ERR_ENTRY_CONTROLS, 0 },
        { "link pointer", F_vmcs_link, 0, 0, 0, l2_vmcall, ENTRY_FAIL | EXIT_ENTRY_GUEST_STATE, ENTRY_FAIL_QUAL_LINK,
          ENTRY_FAIL | EXIT_ENTRY_GUEST_STATE, ENTRY_FAIL_QUAL_LINK },
};

static void field(struct l2 *l, unsigned row, unsigned place)
{
        const bool wide = places[place].wide, shadow = fields[row].proc2 & PROC2_SHADOW;
        if (shadow && (!l->p->cascade || !(l->caps.proc2.may1 & PROC2_SHADOW))) /* some cascades do not offer it */
                return;
        l2_reset(l);
        l2_proc_on(l, fields[row].proc);
        if (shadow) {
                l2_set(l, F_vmread_bitmap, (uint64_t)l2_msr_bitmap);
                l2_set(l, F_vmwrite_bitmap, (uint64_t)l2_msr_bitmap);
        }
        l2_proc2_on(l, fields[row].proc2);
        if (fields[row].count)
                l2_set(l, fields[row].count, 1);
        l2_set(l, fields[row].field, place_at(l, place));
        l2_run(l, fields[row].code);
        if (l->exit.reason == EXIT_VMREAD)
                l->exit.qualification = 0; /* undefined with a register operand */
        const struct l2_exit *x = &l->exit;
        check(l->p,
              x->reason == (wide ? fields[row].wide_reason : fields[row].reason) &&
                      x->qualification == (wide ? fields[row].wide_qualification : fields[row].qualification),
              "%s%s, %s: reason 0x%x qualification 0x%llx", shadow ? "nowhere: " : "", fields[row].what, places[place].name, x->reason,
              (unsigned long long)x->qualification);
}

/* --- what the guest's guest meets there --- */

static void map_window(struct l2 *l, uint64_t at)
{
        for (unsigned i = 0; i < WINDOW_PAGES; i++)
                l2_ept_pt[i] = (at ? at + i * PAGE_SIZE : (uint64_t)l2_window[i]) | EPT_RWX | EPT_WB;
        BUG_UNLESS(hw_invept(INVEPT_SINGLE, vmread(F_eptp)) == HW_OK);
}

static void guests_memory(struct l2 *l)
{
        static const uint8_t rep_stosb[] = { 0xf3, 0xaa, 0x0f, 0x01, 0xc1 }; /* and VMCALL */
        l2_reset(l);
        map_window(l, HOLE);
        l->gprs.r[GPR_RBX] = WINDOW_4K;
        l2_run(l, l2_read);
        check(l->p, l->exit.reason == EXIT_VMCALL && l->gprs.r[GPR_RAX] == ~0ull, "EPT to the hole: reads as ones");
        l2_set(l, F_exception_bitmap, BIT(VEC_UD) | BIT(VEC_PF));
        l2_run(l, (const void *)WINDOW_4K);
        check(l->p, l->exit.reason == EXIT_EXCEPTION_NMI && GET(l->exit.intr_info, INTR_VECTOR) == VEC_UD,
              "EPT to the hole: code there raises #UD, reason %u", l->exit.reason);
        l2_set(l, F_guest_cr3, WINDOW_4K);
        l2_run(l, l2_vmcall);
        check(l->p, l->exit.reason == EXIT_EXCEPTION_NMI && GET(l->exit.intr_info, INTR_VECTOR) == VEC_PF && (l->exit.intr_error & 9) == 9,
              "EPT to the hole: page tables there have reserved bits set, reason %u error 0x%x", l->exit.reason, l->exit.intr_error);

        l2_reset(l);
        l2_set(l, F_guest_idtr_base, WINDOW_4K);
        l2_run(l, l2_ud);
        check(l->p, l->exit.reason == EXIT_TRIPLE_FAULT, "EPT to the hole: an IDT there ends in a triple fault, reason %u",
              l->exit.reason);

        l2_reset(l);
        l2_set(l, F_pin_ctls, vmread(F_pin_ctls) | PIN_PREEMPTION_TIMER);
        l2_set(l, F_guest_preemption_timer, 3000);
        l->gprs.r[GPR_RDI] = WINDOW_4K;
        l->gprs.r[GPR_RCX] = BIT(40);
        l2_run(l, rep_stosb);
        check(l->p, l->exit.reason == EXIT_PREEMPTION_TIMER && l->exit.rip == (uint64_t)rep_stosb,
              "EPT to the hole: the preemption timer ends a REP STOS, reason %u", l->exit.reason);
        map_window(l, 0);
}

/* Without EPT the tables are where the guest hypervisor's own memory is. */
static void tables_without_ept(struct l2 *l)
{
        for (unsigned i = 0; i < 2; i++) {
                l2_reset(l);
                l2_set(l, F_proc2_ctls, vmread(F_proc2_ctls) & ~(uint64_t)(PROC2_EPT | PROC2_UNRESTRICTED));
                l2_set(l, F_entry_ctls, vmread(F_entry_ctls) & ~(uint64_t)ENTRY_CTL_GUEST_64);
                l2_set(l, F_guest_efer, 0);
                l2_set(l, F_guest_cs_ar, 11u | AR_S | AR_P | AR_DB | AR_G);
                l2_set(l, F_guest_cr3, i ? BIT(31) | BIT(30) | BIT(28) : 0xe0000000ull - 32);
                l2_run(l, l2_vmcall);
                check(l->p, l->exit.reason == (ENTRY_FAIL | EXIT_ENTRY_GUEST_STATE) && l->exit.qualification == ENTRY_FAIL_QUAL_PDPTE,
                      "PDPTEs in the hole: reason 0x%x qualification 0x%llx", l->exit.reason, (unsigned long long)l->exit.qualification);
        }
}

/* A register of a guest outside 64-bit mode is 32 bits wide, whatever its upper half holds. */
static void wide_registers(struct l2 *l)
{
        static const uint8_t mov_cr3_edx[] = { 0x0f, 0x22, 0xda, 0x0f, 0x01, 0xc1 }; /* and VMCALL */
        l2_reset(l);
        l2_set(l, F_entry_ctls, vmread(F_entry_ctls) & ~(uint64_t)ENTRY_CTL_GUEST_64);
        l2_set(l, F_guest_efer, 0);
        l2_set(l, F_guest_cr0, vmread(F_guest_cr0) & ~CR0_PG);
        l2_set(l, F_guest_cs_ar, 11u | AR_S | AR_P | AR_DB | AR_G);
        l2_proc_on(l, PROC_CR3_LOAD);
        l2_set(l, F_cr3_target_count, 1);
        l2_set(l, F_cr3_target0, BIT(32) | 0x1000);
        l->gprs.r[GPR_RDX] = BIT(32) | 0x1000;
        l2_run(l, mov_cr3_edx);
        l2_expect(l, EXIT_CR_ACCESS, 0x203, "MOV to CR3 of the lower half of a CR3 target");
}

/* --- hypercalls --- */

static void hypercalls(struct l2 *l)
{
        static const enum hypercall_number numbers[] = { HC_CONSOLE, HC_VMCS_OWN, HC_VMCS_SWITCH };
        for (unsigned i = 0; i < ARRAY_LEN(places); i++) {
                unsigned refused = 0;
                for (unsigned n = 0; n < ARRAY_LEN(numbers); n++)
                        refused += hypercall(numbers[n], place_at(l, i), 8) == HC_BAD;
                check(l->p, refused == ARRAY_LEN(numbers), "nowhere: hypercalls, %s: %u refused", places[i].name, refused);
        }
}

void nested_nowhere(struct l2 *l)
{
        pointers(l);
        operands(l);
        for (unsigned row = 0; row < ARRAY_LEN(fields); row++)
                for (unsigned place = 0; place < ARRAY_LEN(places); place++)
                        field(l, row, place);
        guests_memory(l);
        tables_without_ept(l);
        wide_registers(l);
        if (l->p->cascade)
                hypercalls(l);
        l2_reset(l);
}
