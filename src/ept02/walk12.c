/* SPDX-License-Identifier: BSD-2-Clause */
#include "ept02/walk12.h"
#include "ept02/pml.h"
#include "vmx/controls.h"

/* Walks that are begun anew because the guest hypervisor changed an entry whose flags were to be set. */
#define WALK_TRIES 4

#define NONLEAF_RESERVED    BITS(7, 3) /* level 4 */
#define NONLEAF_RESERVED_32 BITS(6, 3) /* levels 3 and 2, where bit 7 is the large bit */

/* One entry as read. */
struct step {
        uint64_t *at; /* NULL: not RAM, reads as all-ones */
        uint64_t entry;
};

static struct step read_entry(const struct guest_mem *mem, l1gpa_t at)
{
        struct step s = { .at = guest_mem_at(mem, at, sizeof(uint64_t)), .entry = ~0ull };
        if (s.at)
                s.entry = __atomic_load_n(s.at, __ATOMIC_RELAXED);
        return s;
}

static bool is_leaf(uint64_t entry, unsigned level)
{
        return level == 1 || (level <= 3 && (entry & EPTE_LARGE));
}

/* Reserved bits of an entry at `level`, address bits included. SDM 3C "EPT Misconfigurations" and the tables
 * that give the formats of the entries. */
static uint64_t reserved_bits(uint64_t entry, unsigned level, const struct vmx_caps *caps)
{
        uint64_t reserved = EPTE_ADDR & ~(BIT(caps->maxphyaddr) - 1);
        if (level == 4)
                return reserved | NONLEAF_RESERVED;
        if (!is_leaf(entry, level))
                return reserved | NONLEAF_RESERVED_32;
        if (level == 3)
                reserved |= BITS(29, 12) | (caps->ept_vpid & EPTCAP_1G ? 0 : EPTE_LARGE);
        if (level == 2)
                reserved |= BITS(20, 12) | (caps->ept_vpid & EPTCAP_2M ? 0 : EPTE_LARGE);
        return reserved;
}

static bool memtype_defined(uint64_t type)
{
        return type == MEMTYPE_UC || type == MEMTYPE_WC || type == MEMTYPE_WT || type == MEMTYPE_WP ||
               type == MEMTYPE_WB;
}

/* SDM 3C "EPT Misconfigurations", for an entry that is present. */
static bool misconfigured(uint64_t entry, unsigned level, const struct vmx_caps *caps)
{
        if ((entry & EPTE_W) && !(entry & EPTE_R))
                return true;
        if ((entry & EPTE_RWX) == EPTE_X && !(caps->ept_vpid & EPTCAP_EXEC_ONLY))
                return true;
        if (entry & reserved_bits(entry, level, caps))
                return true;
        return is_leaf(entry, level) && !memtype_defined(GET(entry, EPTE_MEMTYPE));
}

/* SDM 3C "Accessed and Dirty Flags for EPT": with them, touching a guest paging structure counts as writing
 * it. */
static uint64_t effective_access(uint64_t access, uint64_t eptp12)
{
        const bool paging_structure = (access & EPTQ_LINEAR_VALID) && !(access & EPTQ_TRANSLATED);
        return (eptp12 & EPTP_AD) && paging_structure ? access | EPTQ_READ | EPTQ_WRITE : access;
}

/* SDM 3C "Exit Qualification for EPT Violations". Access bits and permission bits have the same order. */
static uint64_t violation_qualification(uint64_t access, unsigned rwx)
{
        uint64_t q = access & (EPTQ_READ | EPTQ_WRITE | EPTQ_FETCH | EPTQ_LINEAR_VALID | EPTQ_NMI_UNBLOCK);
        if (access & EPTQ_LINEAR_VALID)
                q |= access & EPTQ_TRANSLATED;
        return PUT(q, EPTQ_RWX, rwx);
}

/* Sets flags in one entry, unless it is no longer what was read. */
static bool set_flags(struct step *s, uint64_t flags)
{
        if ((s->entry & flags) == flags)
                return true;
        uint64_t expected = s->entry;
        if (!__atomic_compare_exchange_n(s->at, &expected, expected | flags, false, __ATOMIC_SEQ_CST,
                                         __ATOMIC_RELAXED))
                return false;
        s->entry |= flags;
        return true;
}

/* A leaf was reached: fills in what it says. */
static void finish(struct ept_walk *w, uint64_t at, unsigned level)
{
        const uint64_t offset = BIT(ept_shift(level)) - 1;
        w->verdict = EPT_OK;
        w->page_shift = ept_shift(level);
        w->l1gpa = L1GPA((w->entry & EPTE_ADDR & ~offset) | (at & offset));
        w->memtype = (unsigned)GET(w->entry, EPTE_MEMTYPE);
        w->ipat = w->entry & EPTE_IPAT;
        w->dirty = w->tracks_dirty && (w->entry & EPTE_D);
}

/* Down to a leaf, a hole or a misconfiguration; *depth entries were read. verdict EPT_OK means that there is
 * a leaf. */
static void descend(const struct guest_mem *mem, uint64_t eptp12, uint64_t at, const struct vmx_caps *caps,
                    struct step steps[EPT_LEVELS], unsigned *depth, struct ept_walk *w)
{
        uint64_t table = eptp12 & EPTP_ADDR;
        w->verdict = EPT_VIOLATION;
        w->rwx = EPTE_RWX;
        w->entry_valid = true;
        *depth = 0;
        for (unsigned level = EPT_LEVELS; level >= 1; level--) {
                w->entry_at = L1GPA(table + ept_index(at, level) * sizeof(uint64_t));
                steps[*depth] = read_entry(mem, w->entry_at);
                w->entry = steps[(*depth)++].entry;
                w->rwx &= (unsigned)(w->entry & EPTE_RWX);
                if (!(w->entry & EPTE_RWX))
                        return;
                if (misconfigured(w->entry, level, caps)) {
                        w->verdict = EPT_MISCONFIG;
                        return;
                }
                if (is_leaf(w->entry, level)) {
                        finish(w, at, level);
                        return;
                }
                table = w->entry & EPTE_ADDR;
        }
}

/* The flags that an allowed access sets in entry i: accessed in all entries, dirty in the leaf. */
static uint64_t flags_of(unsigned i, unsigned depth, bool write)
{
        return write && i == depth - 1 ? EPTE_A | EPTE_D : EPTE_A;
}

static bool is_marked(const struct step steps[EPT_LEVELS], unsigned depth, bool write)
{
        for (unsigned i = 0; i < depth; i++)
                if (flags_of(i, depth, write) & ~steps[i].entry)
                        return false;
        return true;
}

static bool mark(struct step steps[EPT_LEVELS], unsigned depth, bool write, struct ept_walk *w)
{
        for (unsigned i = 0; i < depth; i++)
                if (!set_flags(&steps[i], flags_of(i, depth, write)))
                        return false;
        w->entry = steps[depth - 1].entry;
        w->dirty = w->entry & EPTE_D;
        return true;
}

/* An allowed access to `at`, with EPTP bit 6: sets flags and logs. False: an entry changed meanwhile, walk again. */
static bool use_entries(const struct guest_mem *mem, l2gpa_t at, struct step steps[EPT_LEVELS], unsigned depth, bool write,
                        struct pml *log, struct ept_walk *w)
{
        /* SDM 3C "Page-Modification Logging": the index is looked at when any flag has to be set, also an accessed
         * flag; only a dirty flag makes an entry. */
        if (log && pml_is_full(log) && !is_marked(steps, depth, write)) {
                w->verdict = EPT_LOG_FULL;
                return true;
        }
        const bool dirtied = write && !(steps[depth - 1].entry & EPTE_D);
        if (!mark(steps, depth, write, w))
                return false;
        if (log && dirtied)
                pml_add(log, mem, at);
        return true;
}

struct ept_walk ept12_walk_logged(const struct guest_mem *mem, uint64_t eptp12, l2gpa_t at, uint64_t access,
                                  const struct vmx_caps *caps, struct pml *log)
{
        const uint64_t does = effective_access(access, eptp12);
        const unsigned needs = (unsigned)(does & (EPTQ_READ | EPTQ_WRITE | EPTQ_FETCH));
        struct ept_walk w = { .verdict = EPT_VIOLATION, .tracks_dirty = eptp12 & EPTP_AD };
        struct step steps[EPT_LEVELS];
        unsigned depth;

        for (unsigned tries = 0; tries < WALK_TRIES; tries++) {
                if (at.raw >> EPT_GPA_BITS)
                        break; /* nothing maps it */
                descend(mem, eptp12, at.raw, caps, steps, &depth, &w);
                if (w.verdict == EPT_OK && (w.rwx & needs) != needs)
                        w.verdict = EPT_VIOLATION;
                if (w.verdict != EPT_OK || !w.tracks_dirty || !needs ||
                    use_entries(mem, at, steps, depth, needs & EPTQ_WRITE, log, &w))
                        break;
        }
        if (w.verdict == EPT_VIOLATION)
                w.qualification = violation_qualification(does, w.rwx);
        if (w.verdict == EPT_LOG_FULL) /* SDM 3C "Basic VM-Exit Information": only this bit is defined */
                w.qualification = does & EPTQ_NMI_UNBLOCK;
        return w;
}
