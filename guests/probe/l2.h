/* SPDX-License-Identifier: BSD-2-Clause */
/* l2.h - the smallest guest hypervisor: one processor, a guest in 64-bit mode that shares the probe's
 * address space and its interrupt handlers, snippets of code to run in it.
 *
 * The name: seen from the cascade above, the probe is the guest (1) and this is the guest's guest (2). On
 * the bare processor the probe is the hypervisor itself.
 *
 * Protocol: vmx_start(); l2_load() makes a VMCS current; l2_reset() puts every field right that an entry
 * looks at; a test changes what it is about with l2_set() and calls l2_run(); l2->exit then holds what the
 * exit left. A failed entry is an exit with reason L2_VMFAIL + error. */
#ifndef PROBE_L2_H
#define PROBE_L2_H

#include "base/addr.h"
#include "base/gprs.h"
#include "hw/vmx_ops.h"
#include "probe.h"
#include "vmx/caps.h"
#include "vmx/controls.h"
#include "vmx/fields.h"

#define L2_VMCSS   2
#define L2_VMFAIL  0x10000u /* + VM-instruction error; + L2_INVALID for VMfailInvalid */
#define L2_INVALID 0xfffu

/* Guest-physical addresses with pages of their own in the EPT, beside the first GiB, which is mapped one
 * to one in pages of 2 MiB. */
#define WINDOW_4K    0x80000000ull /* WINDOW_PAGES pages of 4 KiB, mapped to l2_window */
#define WINDOW_2M    0x80200000ull /* one page of 2 MiB, mapped to WINDOW_2M_AT */
#define WINDOW_NONE  0x80400000ull /* nothing */
#define WINDOW_2M_AT 0x4000000ull
#define WINDOW_APIC  0x80600000ull /* one page of 2 MiB with the local APIC at its start, uncached */
#define WINDOW_PAGES 4

struct l2_exit {
        uint32_t reason, intr_info, intr_error, insn_len, insn_info, idt_info;
        uint64_t qualification, guest_physical, guest_linear, rip;
};

struct l2 {
        struct probe *p;
        struct vmx_caps caps;
        struct gprs gprs;
        unsigned current; /* of the VMCSs */
        bool launched[L2_VMCSS];
        bool kept[L2_VMCSS]
                 [VMCS_FIELD_COUNT]; /* the field is as l2_reset() leaves it: no need to write it again */
        uint64_t host_rsp[L2_VMCSS]; /* as in the VMCS; 0: not known */
        struct l2_exit exit;
};

/* What all tests share; pages are zero at the start. */
extern uint8_t l2_vmxon_page[PAGE_SIZE], l2_vmcs_page[L2_VMCSS][PAGE_SIZE];
extern uint8_t l2_io_bitmap[2][PAGE_SIZE], l2_msr_bitmap[PAGE_SIZE];
extern uint8_t l2_window[WINDOW_PAGES][PAGE_SIZE];
extern uint64_t l2_ept_pt[512], l2_ept_pd_high[512];

/* Code of l2_code.S. Each snippet ends with VMCALL. */
#define L2_CODE(name) extern const uint8_t name[]
L2_CODE(l2_vmcall);
L2_CODE(l2_cpuid);
L2_CODE(l2_hlt);
L2_CODE(l2_sti_hlt);
L2_CODE(l2_spin);
L2_CODE(l2_sti_spin);
L2_CODE(l2_sti_nops);
L2_CODE(l2_sti_nops_after);
L2_CODE(l2_in_imm);
L2_CODE(l2_in);
L2_CODE(l2_out);
L2_CODE(l2_outw);
L2_CODE(l2_outl);
L2_CODE(l2_outsb);
L2_CODE(l2_rep_insw);
L2_CODE(l2_rdmsr);
L2_CODE(l2_wrmsr);
L2_CODE(l2_read_cr0);
L2_CODE(l2_write_cr0);
L2_CODE(l2_read_cr3);
L2_CODE(l2_write_cr3);
L2_CODE(l2_read_cr4);
L2_CODE(l2_write_cr4);
L2_CODE(l2_read_cr8);
L2_CODE(l2_write_cr8);
L2_CODE(l2_clts);
L2_CODE(l2_lmsw);
L2_CODE(l2_write_dr7);
L2_CODE(l2_read_dr6);
L2_CODE(l2_read);
L2_CODE(l2_write);
L2_CODE(l2_modify);
L2_CODE(l2_read32);
L2_CODE(l2_write32);
L2_CODE(l2_rmw32);
L2_CODE(l2_movs32);
L2_CODE(l2_write32_post);
L2_CODE(l2_post_string);
L2_CODE(l2_post_in_string);
L2_CODE(l2_jump);
L2_CODE(l2_ud);
L2_CODE(l2_int3);
L2_CODE(l2_de);
L2_CODE(l2_rdtsc);
L2_CODE(l2_rdpmc);
L2_CODE(l2_invlpg);
L2_CODE(l2_pause);
L2_CODE(l2_pause_loop);
L2_CODE(l2_rdtscp);
L2_CODE(l2_invpcid);
L2_CODE(l2_mwait);
L2_CODE(l2_monitor);
L2_CODE(l2_rdseed);
L2_CODE(l2_xsaves);
L2_CODE(l2_xrstors);
L2_CODE(l2_wbinvd);
L2_CODE(l2_invd);
L2_CODE(l2_xsetbv);
L2_CODE(l2_sgdt);
L2_CODE(l2_sidt);
L2_CODE(l2_str);
L2_CODE(l2_rdrand);
L2_CODE(l2_vmxon);
L2_CODE(l2_vmread);
L2_CODE(l2_vmptrst);
L2_CODE(l2_vmlaunch);
L2_CODE(l2_invept);
L2_CODE(l2_vmfunc);
L2_CODE(l2_vmfunc_read);
L2_CODE(l2_nops);
L2_CODE(l2_mov_ss);
L2_CODE(l2_mov_ss_after);
L2_CODE(l2_rep_outsb);
L2_CODE(l2_iret);
L2_CODE(l2_long_mode);
L2_CODE(l2_loop);
L2_CODE(l2_write32_nops);
L2_CODE(l2_write32_nops_after);
L2_CODE(l2_write32_iret);
#undef L2_CODE

/* Turns VMX on. False: this processor cannot, and a line says so. */
bool vmx_start(struct l2 *l);
void l2_load(struct l2 *l, unsigned vmcs);
void l2_clear(struct l2 *l, unsigned vmcs);
void l2_reset(struct l2 *l);
/* VMWRITE of a field that the next l2_reset() has to put right again; tests write in no other way. */
void l2_set(struct l2 *l, uint64_t field, uint64_t value);
/* All fields of all VMCSs may hold anything. */
void l2_forget(struct l2 *l);
uint32_t l2_run(struct l2 *l, const void *rip);
/* As l2_run(), but the guest goes on where it is. */
uint32_t l2_resume(struct l2 *l);

/* One line about an exit: name, reason and qualification as they are, judged against what is expected. */
bool l2_expect(struct l2 *l, uint32_t reason, uint64_t qualification, const char *what);

/* What is wanted, as far as there is such a control, with what the processor insists on. */
static inline uint32_t ctl_make(struct ctl_caps c, uint32_t want)
{
        return (want & c.may1) | c.must1;
}

static inline void l2_proc_on(struct l2 *l, uint32_t bits)
{
        l2_set(l, F_proc_ctls, vmread(F_proc_ctls) | bits);
}

static inline void l2_proc2_on(struct l2 *l, uint32_t bits)
{
        l2_set(l, F_proc2_ctls, vmread(F_proc2_ctls) | bits);
}

/* SDM 3C "Conventions": what the flags after a VMX instruction say. */
static inline enum hw_status vmx_status(bool cf, bool zf)
{
        return cf ? HW_FAIL_INVALID : zf ? HW_FAIL_VALID : HW_OK;
}

/* INVEPT and INVVPID with any descriptor, good or bad. */
static inline enum hw_status invept_words(uint64_t type, const uint64_t descriptor[2])
{
        bool cf, zf;
        __asm__ volatile("invept (%[d]), %[t]"
                         : "=@ccc"(cf), "=@ccz"(zf)
                         : [d] "r"(descriptor), [t] "r"(type)
                         : "memory");
        return vmx_status(cf, zf);
}

static inline enum hw_status invvpid_words(uint64_t type, const uint64_t descriptor[2])
{
        bool cf, zf;
        __asm__ volatile("invvpid (%[d]), %[t]"
                         : "=@ccc"(cf), "=@ccz"(zf)
                         : [d] "r"(descriptor), [t] "r"(type)
                         : "memory");
        return vmx_status(cf, zf);
}

/* Status of a VMX instruction as one number: 0, the error number, or L2_INVALID. */
uint32_t vmx_error(enum hw_status s);
uint32_t l2_enter(struct gprs *gprs, bool launch, uint64_t *host_rsp);
uint32_t l2_enter_after_mov_ss(void);
extern const uint8_t l2_host_entry[];

#endif
