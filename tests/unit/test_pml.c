/* SPDX-License-Identifier: BSD-2-Clause */
#include "suite.h"
#include <string.h>
#include "ept02/combine.h"
#include "ept02/pml.h"
#include "vmx/controls.h"

#define PML4    0x1000ull
#define PDPT    0x2000ull
#define PD      0x3000ull
#define PT      0x4000ull
#define LOG     0x5000ull
#define PAGES   8
#define AT      0x604123ull /* indices 0, 0, 3, 4 */
#define EPTP    (PML4 | PUT(0, EPTP_WALK, EPTP_WALK4) | MEMTYPE_WB)
#define LEAF    (EPTE_RWX | PUT(0, EPTE_MEMTYPE, MEMTYPE_WB))
#define LINEAR  (EPTQ_LINEAR_VALID | EPTQ_TRANSLATED)
#define NOTHING 0xccccccccccccccccull

static uint8_t ram[PAGES * PAGE_SIZE] __attribute__((aligned(4096)));
static const struct guest_mem mem = { .ram = ram, .low_bytes = sizeof(ram) };
static const struct vmx_caps caps = { .maxphyaddr = 40, .ept_vpid = EPTCAP_WALK4 | EPTCAP_WB | EPTCAP_2M | EPTCAP_AD };
static struct pml pml;

static uint64_t *entry(uint64_t table, unsigned index)
{
        return (uint64_t *)(ram + table) + index;
}

static void setup(uint16_t index)
{
        memset(ram, 0, sizeof(ram));
        memset(ram + LOG, 0xcc, PAGE_SIZE);
        *entry(PML4, 0) = PDPT | EPTE_RWX;
        *entry(PDPT, 0) = PD | EPTE_RWX;
        *entry(PD, 3) = PT | EPTE_RWX;
        *entry(PT, 4) = 0x7000 | LEAF;
        pml = (struct pml){ .address = LOG, .index = index };
}

static struct ept_walk walk(uint64_t eptp, uint64_t access)
{
        return ept12_walk_logged(&mem, eptp, L2GPA(AT), access, &caps, &pml);
}

START_TEST(first_write_is_logged)
{
        setup(511);
        ck_assert_uint_eq(walk(EPTP | EPTP_AD, EPTQ_READ | LINEAR).verdict, EPT_OK);
        ck_assert(pml.index == 511 && *entry(LOG, 511) == NOTHING);
        ck_assert_uint_eq(walk(EPTP | EPTP_AD, EPTQ_WRITE | LINEAR).verdict, EPT_OK);
        ck_assert_uint_eq(pml.index, 510);
        ck_assert_uint_eq(*entry(LOG, 511), AT & ~0xfffull);
        ck_assert_uint_eq(walk(EPTP | EPTP_AD, EPTQ_WRITE | LINEAR).verdict, EPT_OK); /* is dirty already */
        ck_assert(pml.index == 510 && *entry(LOG, 510) == NOTHING);
}
END_TEST

START_TEST(page_walks_and_large_pages)
{
        setup(3);
        *entry(PD, 3) = 0x600000 | LEAF | EPTE_LARGE;
        ck_assert_uint_eq(walk(EPTP | EPTP_AD, EPTQ_READ | EPTQ_LINEAR_VALID).verdict, EPT_OK);
        ck_assert(pml.index == 2 && *entry(LOG, 3) == (AT & ~0xfffull)); /* of the access, not of the page */
}
END_TEST

START_TEST(what_is_not_logged)
{
        setup(9);
        walk(EPTP, EPTQ_WRITE | LINEAR); /* no flags */
        walk(EPTP | EPTP_AD, 0);
        *entry(PT, 4) &= ~EPTE_W;
        walk(EPTP | EPTP_AD, EPTQ_WRITE | LINEAR);
        *entry(PT, 4) = EPTE_W; /* a misconfiguration */
        walk(EPTP | EPTP_AD, EPTQ_WRITE | LINEAR);
        ck_assert(pml.index == 9 && *entry(LOG, 9) == NOTHING);
}
END_TEST

START_TEST(the_last_entry)
{
        setup(0);
        ck_assert(!pml_is_full(&pml));
        ck_assert_uint_eq(walk(EPTP | EPTP_AD, EPTQ_WRITE | LINEAR).verdict, EPT_OK);
        ck_assert(pml.index == 0xffff && *entry(LOG, 0) == (AT & ~0xfffull) && pml_is_full(&pml));
}
END_TEST

/* Full: nothing is set, and whatever needs no flag goes on. */
START_TEST(full)
{
        static const uint16_t indices[] = { 512, 0x8000, 0xffff };
        for (size_t i = 0; i < ARRAY_LEN(indices); i++) {
                setup(indices[i]);
                uint8_t before[sizeof(ram)];
                memcpy(before, ram, sizeof(ram));
                struct ept_walk w = walk(EPTP | EPTP_AD, EPTQ_WRITE | LINEAR | EPTQ_NMI_UNBLOCK);
                ck_assert(w.verdict == EPT_LOG_FULL && w.qualification == EPTQ_NMI_UNBLOCK);
                w = walk(EPTP | EPTP_AD, EPTQ_READ | LINEAR); /* would set accessed flags */
                ck_assert(w.verdict == EPT_LOG_FULL && w.qualification == 0);
                ck_assert(!memcmp(before, ram, sizeof(ram)) && pml.index == indices[i]);
                ck_assert_uint_eq(walk(EPTP, EPTQ_WRITE | LINEAR).verdict, EPT_OK); /* without flags there is no log */

                *entry(PML4, 0) |= EPTE_A;
                *entry(PDPT, 0) |= EPTE_A;
                *entry(PD, 3) |= EPTE_A;
                *entry(PT, 4) |= EPTE_A;
                ck_assert_uint_eq(walk(EPTP | EPTP_AD, EPTQ_READ | LINEAR).verdict, EPT_OK);
                ck_assert_uint_eq(walk(EPTP | EPTP_AD, EPTQ_WRITE | LINEAR).verdict, EPT_LOG_FULL);
                *entry(PT, 4) |= EPTE_D;
                ck_assert_uint_eq(walk(EPTP | EPTP_AD, EPTQ_WRITE | LINEAR).verdict, EPT_OK);
                *entry(PT, 4) = 0; /* a violation comes first */
                ck_assert_uint_eq(walk(EPTP | EPTP_AD, EPTQ_WRITE | LINEAR).verdict, EPT_VIOLATION);
                ck_assert_uint_eq(pml.index, indices[i]);
        }
}
END_TEST

START_TEST(a_log_that_is_not_ram)
{
        static const uint64_t addresses[] = { sizeof(ram), ~0xfffull, GUEST_LOW_MAX };
        for (size_t i = 0; i < ARRAY_LEN(addresses); i++) {
                setup(511);
                pml.address = addresses[i];
                ck_assert_uint_eq(walk(EPTP | EPTP_AD, EPTQ_WRITE | LINEAR).verdict, EPT_OK);
                ck_assert(pml.index == 510 && (*entry(PT, 4) & EPTE_D));
        }
}
END_TEST

START_TEST(a_full_log_is_the_guest_hypervisors)
{
        setup(512);
        const struct ept_walk w = walk(EPTP | EPTP_AD, EPTQ_WRITE | LINEAR);
        const struct ept01_leaf ram01 = { .ram = true, .page_shift = SHIFT_4K, .rwx = EPTE_RWX, .memtype = MEMTYPE_WB };
        struct ept02_leaf out;
        ck_assert_uint_eq(ept02_combine(&w, &ram01, EPTQ_WRITE | LINEAR, &out), EPT02_L1_LOG_FULL);
}
END_TEST

int main(void)
{
        return RUN_SUITE("pml", first_write_is_logged, page_walks_and_large_pages, what_is_not_logged, the_last_entry, full,
                         a_log_that_is_not_ram, a_full_log_is_the_guest_hypervisors);
}
