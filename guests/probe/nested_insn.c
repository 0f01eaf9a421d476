/* SPDX-License-Identifier: BSD-2-Clause */
/* Nested test: the VMX instructions outside of entries, success and every failure. SDM 3C "VMX Instruction
 * Reference". Failures of VMLAUNCH and VMRESUME are in nested_entry.c. */
#include "base/libc.h"
#include "base/x86.h"
#include "hw/cpu.h"
#include "nested.h"
#include "traps.h"

#define PATTERN    0x5aa5c33c96690ff0ull
#define BAD_FIELD  0x3000ull /* reserved bit 12 */
#define LAST_FIELD 0x6fffull

static uint8_t wrong_revision[PAGE_SIZE] __attribute__((aligned(4096)));

static bool op(struct l2 *l, enum hw_status s, uint32_t expected, const char *what)
{
        const uint32_t error = vmx_error(s);
        if (error == L2_INVALID)
                return check(l->p, expected == L2_INVALID, "%s: VMfailInvalid", what);
        return check(l->p, error == expected, "%s: error %u", what, error);
}

static enum hw_status try_vmread(uint64_t field, uint64_t *value)
{
        bool cf, zf;
        uint64_t v;
        __asm__ volatile("vmread %[f], %[v]" : [v] "=r"(v), "=@ccc"(cf), "=@ccz"(zf) : [f] "r"(field));
        *value = v;
        return vmx_status(cf, zf);
}

static enum hw_status try_vmxoff(void)
{
        bool cf, zf;
        __asm__ volatile("vmxoff" : "=@ccc"(cf), "=@ccz"(zf) : : "memory");
        return vmx_status(cf, zf);
}

static enum hw_status try_vmresume_nothing(void)
{
        bool cf, zf;
        __asm__ volatile("vmresume" : "=@ccc"(cf), "=@ccz"(zf) : : "memory");
        return vmx_status(cf, zf);
}

static uint64_t current_pointer(void)
{
        uint64_t at = 0;
        __asm__ volatile("vmptrst %0" : "=m"(at) : : "memory");
        return at;
}

static hpa_t at(const void *page)
{
        return HPA((uint64_t)page);
}

#define RAISES_UD(text, ...)                                                                                 \
        ({                                                                                                   \
                TRY(text, , ##__VA_ARGS__);                                                                  \
                traps()->vector == VEC_UD;                                                                   \
        })

void nested_before_vmxon(struct l2 *l)
{
        struct probe *p = l->p;
        const uint64_t page = (uint64_t)l2_vmxon_page;
        check(p, RAISES_UD("vmxon %[m]", [m] "m"(page)), "VMXON without CR4.VMXE raises #UD");
        hw_write_cr4(hw_read_cr4() | CR4_VMXE);
        check(p, RAISES_UD("vmread %%rax, %%rax", "a"(0)), "VMREAD outside of VMX operation raises #UD");
        check(p, RAISES_UD("vmclear %[m]", [m] "m"(page)), "VMCLEAR outside of VMX operation raises #UD");
        check(p, RAISES_UD("vmlaunch"), "VMLAUNCH outside of VMX operation raises #UD");

        *(uint32_t *)wrong_revision = (uint32_t)l->caps.basic ^ 1;
        op(l, hw_vmxon(HPA(page + 8)), L2_INVALID, "VMXON, address not aligned");
        op(l, hw_vmxon(HPA(page | BIT(l->caps.maxphyaddr))), L2_INVALID, "VMXON, address too wide");
        op(l, hw_vmxon(at(wrong_revision)), L2_INVALID, "VMXON, another revision");
        op(l, hw_vmxon(HPA(page)), 0, "VMXON");
        TRY("mov %[v], %%cr4", , [v] "r"(hw_read_cr4() & ~CR4_VMXE));
        check(p, traps()->vector == VEC_GP, "clearing CR4.VMXE in VMX operation raises #GP");
        TRY("mov %[v], %%cr0", , [v] "r"(hw_read_cr0() & ~CR0_NE));
        check(p, traps()->vector == VEC_GP, "clearing CR0.NE in VMX operation raises #GP");
}

static void without_current(struct l2 *l)
{
        uint64_t ignored;
        check(l->p, current_pointer() == ~0ull, "VMPTRST without a current VMCS stores all ones");
        op(l, hw_vmxon(at(l2_vmxon_page)), L2_INVALID, "VMXON twice, no current VMCS");
        op(l, try_vmread(F_guest_rip, &ignored), L2_INVALID, "VMREAD, no current VMCS");
        op(l, hw_vmwrite(F_guest_rip, 0), L2_INVALID, "VMWRITE, no current VMCS");
        op(l, try_vmresume_nothing(), L2_INVALID, "VMRESUME, no current VMCS");
        op(l, hw_vmclear(HPA(8)), L2_INVALID, "VMCLEAR, address not aligned, no current VMCS");
        op(l, hw_vmptrld(HPA(8)), L2_INVALID, "VMPTRLD, address not aligned, no current VMCS");
}

void nested_pointers(struct l2 *l)
{
        const uint64_t vmcs = (uint64_t)l2_vmcs_page[0], wide = BIT(l->caps.maxphyaddr);
        without_current(l);
        op(l, hw_vmclear(HPA(vmcs)), 0, "VMCLEAR");
        op(l, hw_vmptrld(HPA(vmcs)), 0, "VMPTRLD");
        check(l->p, current_pointer() == vmcs, "VMPTRST stores the current VMCS");
        op(l, hw_vmxon(at(l2_vmxon_page)), VMX_ERR_VMXON_IN_ROOT, "VMXON twice");
        op(l, hw_vmclear(HPA(vmcs + 8)), VMX_ERR_VMCLEAR_ADDRESS, "VMCLEAR, address not aligned");
        op(l, hw_vmclear(HPA(vmcs | wide)), VMX_ERR_VMCLEAR_ADDRESS, "VMCLEAR, address too wide");
        op(l, hw_vmclear(at(l2_vmxon_page)), VMX_ERR_VMCLEAR_VMXON, "VMCLEAR of the VMXON pointer");
        op(l, hw_vmptrld(HPA(vmcs + 8)), VMX_ERR_VMPTRLD_ADDRESS, "VMPTRLD, address not aligned");
        op(l, hw_vmptrld(HPA(vmcs | wide)), VMX_ERR_VMPTRLD_ADDRESS, "VMPTRLD, address too wide");
        op(l, hw_vmptrld(at(l2_vmxon_page)), VMX_ERR_VMPTRLD_VMXON, "VMPTRLD of the VMXON pointer");
        op(l, hw_vmptrld(at(wrong_revision)), VMX_ERR_VMPTRLD_REVISION, "VMPTRLD, another revision");
        check(l->p, current_pointer() == vmcs, "a failed VMPTRLD keeps the current VMCS");
        op(l, hw_vmclear(at(l2_vmcs_page[1])), 0, "VMCLEAR of another VMCS");
        check(l->p, current_pointer() == vmcs, "VMCLEAR of another VMCS keeps the current one");
        op(l, hw_vmclear(HPA(vmcs)), 0, "VMCLEAR of the current VMCS");
        check(l->p, current_pointer() == ~0ull, "VMCLEAR of the current VMCS leaves none");
        op(l, hw_vmptrld(HPA(vmcs)), 0, "VMPTRLD again");
}

/* --- fields --- */

static uint64_t mask_of(const struct vmcs_field_info *f)
{
        return BITS(8 * vmcs_width_bytes(f->width) - 1, 0);
}

/* Access rights have reserved bits that a processor need not keep. */
static uint64_t pattern_for(const struct vmcs_field_info *f, uint64_t salt)
{
        const bool is_ar = f->enc >= F_guest_es_ar && f->enc <= F_guest_tr_ar;
        const uint64_t value = (PATTERN ^ salt) & mask_of(f);
        return is_ar ? value & ~(uint64_t)AR_RESERVED : value;
}

static bool writable(const struct l2 *l, const struct vmcs_field_info *f)
{
        return vmcs_field_exists(f, &l->caps) &&
               (f->type != TYPE_READ_ONLY || (l->caps.misc & MISC_VMWRITE_ANY));
}

static unsigned write_all(const struct l2 *l, uint64_t salt)
{
        unsigned bad = 0;
        for (unsigned id = 0; id < VMCS_FIELD_COUNT; id++) {
                const struct vmcs_field_info f = vmcs_field_at((enum vmcs_field_id)id);
                if (writable(l, &f) && hw_vmwrite(f.enc, pattern_for(&f, salt + id)) != HW_OK)
                        bad++;
        }
        return bad;
}

/* VM-instruction error is left out: failures of other tests are written to it. */
static unsigned compare_all(const struct l2 *l, uint64_t salt)
{
        unsigned bad = 0;
        for (unsigned id = 0; id < VMCS_FIELD_COUNT; id++) {
                const struct vmcs_field_info f = vmcs_field_at((enum vmcs_field_id)id);
                uint64_t value = 0;
                if (!writable(l, &f) || f.enc == F_insn_error)
                        continue;
                if (try_vmread(f.enc, &value) == HW_OK && value == pattern_for(&f, salt + id))
                        continue;
                say("     %s: 0x%llx, not 0x%llx", vmcs_field_name(f.enc), (unsigned long long)value,
                    (unsigned long long)pattern_for(&f, salt + id));
                bad++;
        }
        return bad;
}

static void halves(struct l2 *l)
{
        uint64_t low = 0, high = 0;
        l2_set(l, F_tsc_offset, 0x1122334455667788ull);
        l2_set(l, F_tsc_offset + 1, 0xcafe9abcdef0ull);
        op(l, try_vmread(F_tsc_offset, &low), 0, "VMREAD of a 64-bit field");
        op(l, try_vmread(F_tsc_offset + 1, &high), 0, "VMREAD of its high half");
        check(l->p, low == 0x9abcdef055667788ull && high == 0x9abcdef0,
              "the halves of a 64-bit field: 0x%llx 0x%llx", (unsigned long long)low,
              (unsigned long long)high);
        l2_set(l, F_guest_efer, 0x1122334455667788ull);
        l2_set(l, F_guest_efer + 1, 0x99);
        check(l->p, vmread(F_guest_efer) == 0x9955667788ull,
              "the high half of a shadowed field can be written");
}

static void memory_operands(struct l2 *l)
{
        static uint64_t words[8];
        const uint64_t index = 3;
        words[4] = PATTERN;
        __asm__ volatile("vmwrite 8(%[b], %[i], 8), %[f]"
                         :
                         : [b] "r"(words), [i] "r"(index), [f] "r"((uint64_t)F_guest_rip)
                         : "memory", "cc");
        check(l->p, vmread(F_guest_rip) == PATTERN, "VMWRITE from memory");
        __asm__ volatile("vmread %[f], -8(%[b])"
                         :
                         : [b] "r"(words + 7), [f] "r"((uint64_t)F_guest_rip)
                         : "memory", "cc");
        check(l->p, words[6] == PATTERN, "VMREAD to memory");
        __asm__ volatile("vmwrite 8(%[b], %[i], 8), %[f]"
                         :
                         : [b] "r"(words), [i] "r"(index), [f] "r"((uint64_t)F_cr0_mask)
                         : "memory", "cc");
        check(l->p, vmread(F_cr0_mask) == PATTERN, "VMWRITE from memory, a control");
        words[6] = 0;
        __asm__ volatile("vmread %[f], -8(%[b])"
                         :
                         : [b] "r"(words + 7), [f] "r"((uint64_t)F_cr0_mask)
                         : "memory", "cc");
        check(l->p, words[6] == PATTERN, "VMREAD to memory, a control");
        TRY("vmread %%rax, (%%rbx)", , "a"((uint64_t)F_cr0_mask), "b"(BIT(62)));
        check(l->p, traps()->vector == VEC_GP, "VMREAD to a non-canonical address raises #GP");
        TRY("vmptrst (%%rbx)", , "b"(BIT(45)));
        check(l->p, traps()->vector == VEC_PF && traps()->error == 2 && traps()->cr2 == BIT(45),
              "VMPTRST to no page raises #PF");
}

void nested_fields(struct l2 *l)
{
        uint64_t ignored;
        check(l->p, write_all(l, 0) == 0, "all fields can be written");
        check(l->p, compare_all(l, 0) == 0, "all fields keep what is written");
        op(l, try_vmread(BAD_FIELD, &ignored), VMX_ERR_BAD_COMPONENT, "VMREAD of no field");
        op(l, try_vmread(LAST_FIELD, &ignored), VMX_ERR_BAD_COMPONENT, "VMREAD of no field, all bits");
        op(l, try_vmread(BIT(32) | F_guest_rip, &ignored), VMX_ERR_BAD_COMPONENT,
           "VMREAD of no field, high bits");
        op(l, try_vmread(F_guest_rip + 1, &ignored), VMX_ERR_BAD_COMPONENT,
           "VMREAD of half of a natural-width field");
        op(l, hw_vmwrite(BAD_FIELD, 0), VMX_ERR_BAD_COMPONENT, "VMWRITE of no field");
        if (!(l->caps.misc & MISC_VMWRITE_ANY))
                op(l, hw_vmwrite(F_exit_reason, 0), VMX_ERR_VMWRITE_READ_ONLY,
                   "VMWRITE of a read-only field");

        l2_clear(l, 0);
        l2_load(l, 1);
        write_all(l, 0x77);
        l2_load(l, 0);
        check(l->p, compare_all(l, 0) == 0, "all fields survive VMCLEAR and VMPTRLD");
        l2_load(l, 1);
        check(l->p, compare_all(l, 0x77) == 0, "another VMCS has fields of its own");
        l2_clear(l, 1);
        l2_load(l, 0);
        halves(l);
        memory_operands(l);
}

/* --- INVEPT, INVVPID --- */

static enum hw_status invvpid_raw(uint64_t type, uint64_t low, uint64_t linear)
{
        return invvpid_words(type, (const uint64_t[]){ low, linear });
}

void nested_invalidations(struct l2 *l)
{
        l2_forget(l);
        l2_reset(l);
        const uint64_t eptp = vmread(F_eptp);
        op(l, hw_invept(INVEPT_SINGLE, eptp), 0, "INVEPT of one EPT");
        op(l, hw_invept(INVEPT_ALL, 0), 0, "INVEPT of all");
        op(l, hw_invept(0, eptp), VMX_ERR_INV_OPERAND, "INVEPT of type 0");
        op(l, hw_invept(3, eptp), VMX_ERR_INV_OPERAND, "INVEPT of type 3");
        op(l, hw_invept(INVEPT_SINGLE, eptp | BIT(10)), VMX_ERR_INV_OPERAND, "INVEPT with a bad EPTP");
        op(l, invvpid_raw(INVVPID_ADDR, 1, 0x1000), 0, "INVVPID of an address");
        op(l, invvpid_raw(INVVPID_SINGLE, 1, 0), 0, "INVVPID of one VPID");
        op(l, invvpid_raw(INVVPID_ALL, 0, 0), 0, "INVVPID of all");
        op(l, invvpid_raw(INVVPID_GLOBAL, 1, 0), 0, "INVVPID of one VPID but globals");
        op(l, invvpid_raw(4, 1, 0), VMX_ERR_INV_OPERAND, "INVVPID of type 4");
        op(l, invvpid_raw(INVVPID_SINGLE, 0, 0), VMX_ERR_INV_OPERAND, "INVVPID of VPID 0");
        op(l, invvpid_raw(INVVPID_SINGLE, BIT(16) | 1, 0), VMX_ERR_INV_OPERAND, "INVVPID with reserved bits");
        op(l, invvpid_raw(INVVPID_ADDR, 1, BIT(62)), VMX_ERR_INV_OPERAND,
           "INVVPID of a non-canonical address");
}

void nested_vmxoff(struct l2 *l)
{
        op(l, try_vmxoff(), 0, "VMXOFF");
        check(l->p, RAISES_UD("vmread %%rax, %%rax", "a"(0)), "VMREAD after VMXOFF raises #UD");
        hw_write_cr4(hw_read_cr4() & ~CR4_VMXE);
        check(l->p, !(hw_read_cr4() & CR4_VMXE), "CR4.VMXE can be cleared after VMXOFF");
}
