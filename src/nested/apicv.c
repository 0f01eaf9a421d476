/* SPDX-License-Identifier: BSD-2-Clause */
#include "nested/apicv.h"
#include "base/bits.h"
#include "base/x86.h"
#include "vmx/epte.h"

/* --- the MSR bitmap --- */

#define X2APIC_TPR      0x08 /* MSR number less 0x800 */
#define X2APIC_EOI      0x0b
#define X2APIC_SELF_IPI 0x3f

/* Registers that the processor reads from the virtual-APIC page. */
static void served_reads(const struct vmcs12 *v, uint64_t served[X2APIC_WORDS])
{
        const bool all = vmcs12_proc2(v) & PROC2_APIC_REGS;
        for (unsigned i = 0; i < X2APIC_WORDS; i++)
                served[i] = all ? ~0ull : 0;
        served[0] |= BIT(X2APIC_TPR);
}

static void served_writes(const struct vmcs12 *v, uint64_t served[X2APIC_WORDS])
{
        for (unsigned i = 0; i < X2APIC_WORDS; i++)
                served[i] = 0;
        served[0] = BIT(X2APIC_TPR) | (apicv_delivers(v) ? BIT(X2APIC_EOI) | BIT(X2APIC_SELF_IPI) : 0);
}

static void merge_run(const uint64_t served[X2APIC_WORDS], const uint64_t *bitmap12, unsigned first, uint64_t *out)
{
        for (unsigned i = 0; i < X2APIC_WORDS; i++)
                out[first + i] = bitmap12 ? bitmap12[first + i] | ~served[i] : ~0ull;
}

void apicv_merge_x2apic(const struct vmcs12 *v, const uint64_t *bitmap12, uint64_t *out)
{
        uint64_t served[X2APIC_WORDS];
        const uint64_t *allowed = apicv_x2apic(v) ? bitmap12 : NULL;
        served_reads(v, served);
        merge_run(served, allowed, X2APIC_READ_WORD, out);
        served_writes(v, served);
        merge_run(served, allowed, X2APIC_WRITE_WORD, out);
}

/* --- the APIC-access page --- */

#define VARIANT_USED   BIT(0)
#define VARIANT_NO_EPT BIT(1)

uint64_t apicv_ept02_variant(const struct vmcs12 *v)
{
        if (!apicv_has_access_page(v))
                return 0;
        return v->apic_access_page | VARIANT_USED | (vmcs12_proc2(v) & PROC2_EPT ? 0 : VARIANT_NO_EPT);
}

struct ept_walk apicv_walk_untranslated(l2gpa_t at)
{
        return (struct ept_walk){ .verdict = EPT_OK, .l1gpa = L1GPA(at.raw), .page_shift = SHIFT_1G, .rwx = EPTE_RWX,
                                  .memtype = MEMTYPE_WB };
}

/* The largest leaf around `at` that `shift` allows and that does not contain `page`. */
static unsigned shift_beside(uint64_t page, uint64_t at, unsigned shift)
{
        while (shift > SHIFT_4K && page >> shift == at >> shift)
                shift -= SHIFT_2M - SHIFT_4K;
        return shift;
}

void apicv_shape_leaf(const struct vmcs12 *v, const struct ept_walk *w, hpa_t nowhere, struct ept01_leaf *e01)
{
        if (!apicv_has_access_page(v) || w->verdict != EPT_OK)
                return;
        if (apicv_is_access_page(v, w->l1gpa)) {
                if (!e01->ram)
                        *e01 = (struct ept01_leaf){ .hpa = nowhere, .rwx = EPTE_R | EPTE_W, .memtype = MEMTYPE_WB };
                e01->ram = true;
                e01->rwx &= ~(unsigned)EPTE_X;
                e01->page_shift = SHIFT_4K;
        } else if (e01->ram) {
                const unsigned shift = w->page_shift < e01->page_shift ? w->page_shift : e01->page_shift;
                e01->page_shift = shift_beside(v->apic_access_page, w->l1gpa.raw, shift);
        }
}

/* --- virtual interrupts --- */

/* The part of a vector or of the TPR that counts. */
static unsigned priority_class(uint64_t vector)
{
        return (unsigned)(vector >> 4);
}

bool apicv_interrupts(const struct vmcs12 *v, uint8_t vtpr, uint16_t status)
{
        const unsigned requested = priority_class(GET(status, STATUS_RVI));
        /* SDM 3C "PPR Virtualization" */
        const unsigned tpr = priority_class(vtpr), servicing = priority_class(GET(status, STATUS_SVI));
        return apicv_delivers(v) && !(v->proc_ctls & PROC_INTR_WINDOW) && requested > tpr && requested > servicing;
}

/* --- posted interrupts --- */

uint16_t apicv_take_posted(uint64_t descriptor[POSTED_BYTES / 8], uint8_t *vapic, uint16_t status)
{
        uint64_t highest = GET(status, STATUS_RVI);
        __atomic_fetch_and(&descriptor[POSTED_NOTIFY_WORD], ~1ull, __ATOMIC_SEQ_CST);
        for (unsigned i = 0; i < POSTED_WORDS; i++) {
                const uint64_t requests = __atomic_exchange_n(&descriptor[i], 0, __ATOMIC_SEQ_CST);
                if (!requests)
                        continue;
                uint32_t *irr = (uint32_t *)(void *)(vapic + VAPIC_IRR + 2 * i * 16);
                irr[0] |= (uint32_t)requests;
                irr[4] |= (uint32_t)(requests >> 32);
                const uint64_t vector = 64 * i + 63 - (unsigned)__builtin_clzll(requests);
                highest = vector > highest ? vector : highest;
        }
        return (uint16_t)PUT(status, STATUS_RVI, highest);
}
