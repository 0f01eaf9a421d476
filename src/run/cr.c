/* SPDX-License-Identifier: BSD-2-Clause */
/* Control-register accesses that exit: the bits of CR0 and CR4 that are not the guest's own, and CR8. */
#include "base/bits.h"
#include "base/x86.h"
#include "hw/vmx_ops.h"
#include "run/exits.h"
#include "run/inject.h"
#include "vmx/ctl.h"
#include "vmx/fields.h"
#include "vmx/root.h"
#include "vmx/vmcs01.h"

#define CR0_DEFINED (CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD | CR0_PG)

/* SDM 3A "Operations that Invalidate TLBs and Paging-Structure Caches": writes to these bits. VMWRITE does not. */
#define CR0_FLUSHES CR0_PG
#define CR4_FLUSHES (CR4_PGE | CR4_PAE | CR4_PCIDE | CR4_SMEP)

static void flush_translations(const struct run *r)
{
        vpid_flush(r->v.hw, r->nested.in_l2 ? VPID02 : VPID01);
}

static bool mode64(void)
{
        return (vmread(F_guest_efer) & EFER_LMA) && (vmread(F_guest_cs_ar) & AR_L);
}

/* Outside 64-bit mode the operand is 32 bits wide, whatever the upper half of the register still holds. */
static uint64_t gpr(struct run *r, unsigned reg)
{
        const uint64_t value = reg == GPR_RSP ? vmread(F_guest_rsp) : r->v.gprs.r[reg];
        return mode64() ? value : (uint32_t)value;
}

/* SDM 3A "Loading PDPTE Registers": on a write to CR0 or CR4 that turns PAE paging on or changes how it works. */
static bool load_pdptes(struct run *r, uint64_t cr0, uint64_t cr4, uint64_t efer)
{
        if (!(cr0 & CR0_PG) || !(cr4 & CR4_PAE) || (efer & EFER_LMA))
                return true;
        uint64_t pdpte[PDPTES];
        if (!pdptes_read(&r->v.mem, r->v.hw, vmread(F_guest_cr3), pdpte))
                return false;
        for (unsigned i = 0; i < PDPTES; i++)
                vmwrite(F_guest_pdpte0 + 2 * i, pdpte[i]);
        return true;
}

#define TSS16_BUSY 3

/* SDM 3A "Initializing IA-32e Mode": not with a 16-bit TSS. */
static bool tss16(void)
{
        return GET(vmread(F_guest_tr_ar), AR_TYPE) == TSS16_BUSY;
}

/* SDM 2B "MOV - Move to/from Control Registers", #GP(0) conditions of CR0. */
static bool cr0_allowed(uint64_t value, uint64_t old, uint64_t efer, uint64_t cr4)
{
        const bool paging_on = (value & CR0_PG) && !(old & CR0_PG);
        return !(value >> 32) && !((value & CR0_PG) && !(value & CR0_PE)) && !((value & CR0_NW) && !(value & CR0_CD)) &&
               !(paging_on && (efer & EFER_LME) && !(cr4 & CR4_PAE)) &&
               !(!(value & CR0_PG) && (old & CR0_PG) && ((cr4 & CR4_PCIDE) || mode64())) &&
               !(paging_on && (efer & EFER_LME) && ((vmread(F_guest_cs_ar) & AR_L) || tss16()));
}

static bool write_cr0(struct run *r, uint64_t value)
{
        const uint64_t old = ctl_guest_cr0(&r->v), cr4 = vmread(F_guest_cr4);
        uint64_t efer = vmread(F_guest_efer);
        if (!cr0_allowed(value, old, efer, cr4))
                return false;
        value = (value & CR0_DEFINED) | CR0_ET;
        if (r->nested.vmxon && (value & (CR0_PE | CR0_NE | CR0_PG)) != (CR0_PE | CR0_NE | CR0_PG))
                return false; /* SDM 3C "Restrictions on VMX Operation" */
        const bool lma = (value & CR0_PG) && (efer & EFER_LME);
        if ((value ^ old) & CR0_PG) {
                ctl_set_ia32e(&r->v, lma);
                efer = lma ? efer | EFER_LMA : efer & ~EFER_LMA;
                vmwrite(F_guest_efer, efer);
        }
        if (((value ^ old) & (CR0_PG | CR0_CD | CR0_NW)) && !load_pdptes(r, value, cr4, efer))
                return false;
        if ((value ^ old) & CR0_FLUSHES)
                flush_translations(r);
        vmwrite(F_guest_cr0, (value & ~(CR0_CD | CR0_NW)) | (r->v.hw->cr0_fixed0 & CR0_NE));
        ctl_write(&r->v, cr0_shadow, value);
        return true;
}

static bool write_cr4(struct run *r, uint64_t value)
{
        const uint64_t offered = r->nested.caps12.cr4_fixed1 & ~(r->nested.enabled ? 0 : CR4_VMXE);
        if (value & ~offered)
                return false;
        if (r->nested.vmxon && !(value & CR4_VMXE))
                return false; /* SDM 3C "Restrictions on VMX Operation" */
        const uint64_t efer = vmread(F_guest_efer), old = vmread(F_guest_cr4);
        if ((efer & EFER_LMA) && !(value & CR4_PAE))
                return false;
        if ((value & CR4_PCIDE) && !(old & CR4_PCIDE) && (!(efer & EFER_LMA) || (vmread(F_guest_cr3) & BITS(11, 0))))
                return false;
        if (((value ^ old) & (CR4_PAE | CR4_PSE | CR4_PGE | CR4_SMEP)) && !load_pdptes(r, ctl_guest_cr0(&r->v), value, efer))
                return false;
        if ((value ^ old) & CR4_FLUSHES)
                flush_translations(r);
        vmwrite(F_guest_cr4, value | CR4_VMXE);
        ctl_write(&r->v, cr4_shadow, value);
        return true;
}

static bool write_cr(struct run *r, unsigned number, uint64_t value)
{
        switch (number) {
        case 0:
                return write_cr0(r, value);
        case 4:
                return write_cr4(r, value);
        case 8:
                if (value > 15)
                        return false;
                pc_set_cr8(&r->pc, 0, value);
                return true;
        default:
                run_end(r, EXIT_STATUS_PANIC, "exit for a control register that is not intercepted");
        }
}

/* SDM 2A "LMSW": the low four bits; PE can be set but not cleared. */
static uint64_t lmsw_value(uint64_t cr0, uint64_t source)
{
        return (cr0 & ~BITS(3, 1)) | (source & BITS(3, 0));
}

void exit_cr_access(struct run *r, const struct exit_info *x)
{
        const unsigned number = (unsigned)GET(x->qualification, CRQ_NUMBER), reg = (unsigned)GET(x->qualification, CRQ_GPR);
        bool ok = true;
        switch ((enum cr_access)GET(x->qualification, CRQ_TYPE)) {
        case CR_MOV_TO:
                ok = write_cr(r, number, gpr(r, reg));
                break;
        case CR_MOV_FROM: /* only CR8 exits */
                if (reg == GPR_RSP)
                        vmwrite(F_guest_rsp, pc_get_cr8(&r->pc, 0));
                else
                        r->v.gprs.r[reg] = pc_get_cr8(&r->pc, 0);
                break;
        case CR_CLTS:
                ok = write_cr0(r, ctl_guest_cr0(&r->v) & ~CR0_TS);
                break;
        case CR_LMSW:
                ok = write_cr0(r, lmsw_value(ctl_guest_cr0(&r->v), GET(x->qualification, CRQ_LMSW_SOURCE)));
                break;
        }
        if (ok)
                skip_instruction(r);
        else
                inject_gp0(r);
}
