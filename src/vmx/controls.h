/* SPDX-License-Identifier: BSD-2-Clause */
/* controls.h - names for the bits of VMX: controls, exit reasons, event information, qualifications, VMX
 * MSRs. Constants only; names follow the SDM's tables, chapters "Virtual Machine Control Structures" and "VM
 * Exits". [pure] */
#ifndef CASCADE_VMX_CONTROLS_H
#define CASCADE_VMX_CONTROLS_H

#include <stdint.h>
#include "base/bits.h"

/* Control words are 32 bits wide: BIT() would widen every expression that uses one. */
#define CTL(n) ((uint32_t)1 << (n))

/* SDM 3C "Pin-Based VM-Execution Controls" */
#define PIN_EXT_INTR         CTL(0)
#define PIN_NMI              CTL(3)
#define PIN_VIRTUAL_NMI      CTL(5)
#define PIN_PREEMPTION_TIMER CTL(6)
#define PIN_POSTED_INTR      CTL(7)

/* SDM 3C "Processor-Based VM-Execution Controls", primary */
#define PROC_INTR_WINDOW CTL(2)
#define PROC_TSC_OFFSET  CTL(3)
#define PROC_HLT         CTL(7)
#define PROC_INVLPG      CTL(9)
#define PROC_MWAIT       CTL(10)
#define PROC_RDPMC       CTL(11)
#define PROC_RDTSC       CTL(12)
#define PROC_CR3_LOAD    CTL(15)
#define PROC_CR3_STORE   CTL(16)
#define PROC_TERTIARY    CTL(17)
#define PROC_CR8_LOAD    CTL(19)
#define PROC_CR8_STORE   CTL(20)
#define PROC_TPR_SHADOW  CTL(21)
#define PROC_NMI_WINDOW  CTL(22)
#define PROC_MOV_DR      CTL(23)
#define PROC_UNCOND_IO   CTL(24)
#define PROC_IO_BITMAPS  CTL(25)
#define PROC_MTF         CTL(27)
#define PROC_MSR_BITMAPS CTL(28)
#define PROC_MONITOR     CTL(29)
#define PROC_PAUSE       CTL(30)
#define PROC_SECONDARY   CTL(31)

/* SDM 3C "Processor-Based VM-Execution Controls", secondary */
#define PROC2_APIC_ACCESS  CTL(0)
#define PROC2_EPT          CTL(1)
#define PROC2_DESC_TABLE   CTL(2)
#define PROC2_RDTSCP       CTL(3)
#define PROC2_X2APIC       CTL(4)
#define PROC2_VPID         CTL(5)
#define PROC2_WBINVD       CTL(6)
#define PROC2_UNRESTRICTED CTL(7)
#define PROC2_APIC_REGS    CTL(8)
#define PROC2_VID          CTL(9)
#define PROC2_PLE          CTL(10)
#define PROC2_RDRAND       CTL(11)
#define PROC2_INVPCID      CTL(12)
#define PROC2_VMFUNC       CTL(13)
#define PROC2_SHADOW       CTL(14)
#define PROC2_ENCLS        CTL(15)
#define PROC2_RDSEED       CTL(16)
#define PROC2_PML          CTL(17)
#define PROC2_VE           CTL(18)
#define PROC2_PT_CONCEAL   CTL(19)
#define PROC2_XSAVES       CTL(20)
#define PROC2_PASID        CTL(21)
#define PROC2_MBEC         CTL(22)
#define PROC2_SPP          CTL(23)
#define PROC2_PT_GPA       CTL(24)
#define PROC2_TSC_SCALING  CTL(25)
#define PROC2_USER_WAIT    CTL(26)
#define PROC2_PCONFIG      CTL(27)
#define PROC2_ENCLV        CTL(28)
#define PROC2_BUS_LOCK     CTL(30)
#define PROC2_NOTIFY       CTL(31)

/* SDM 3C "VM-Exit Controls" */
#define EXIT_CTL_SAVE_DEBUG            CTL(2)
#define EXIT_CTL_HOST_64               CTL(9) /* host address-space size */
#define EXIT_CTL_LOAD_PERF_GLOBAL      CTL(12)
#define EXIT_CTL_ACK_INTR              CTL(15)
#define EXIT_CTL_SAVE_PAT              CTL(18)
#define EXIT_CTL_LOAD_PAT              CTL(19)
#define EXIT_CTL_SAVE_EFER             CTL(20)
#define EXIT_CTL_LOAD_EFER             CTL(21)
#define EXIT_CTL_SAVE_PREEMPTION_TIMER CTL(22)
#define EXIT_CTL_CLEAR_BNDCFGS         CTL(23)
#define EXIT_CTL_PT_CONCEAL            CTL(24)
#define EXIT_CTL_CLEAR_RTIT            CTL(25)
#define EXIT_CTL_CLEAR_LBR             CTL(26)
#define EXIT_CTL_LOAD_CET              CTL(28)
#define EXIT_CTL_LOAD_PKRS             CTL(29)
#define EXIT_CTL_SAVE_PERF_GLOBAL      CTL(30)
#define EXIT_CTL_SECONDARY             CTL(31)

/* SDM 3C "VM-Entry Controls" */
#define ENTRY_CTL_LOAD_DEBUG       CTL(2)
#define ENTRY_CTL_GUEST_64         CTL(9) /* IA-32e mode guest */
#define ENTRY_CTL_TO_SMM           CTL(10)
#define ENTRY_CTL_NO_DUAL_MONITOR  CTL(11)
#define ENTRY_CTL_LOAD_PERF_GLOBAL CTL(13)
#define ENTRY_CTL_LOAD_PAT         CTL(14)
#define ENTRY_CTL_LOAD_EFER        CTL(15)
#define ENTRY_CTL_LOAD_BNDCFGS     CTL(16)
#define ENTRY_CTL_PT_CONCEAL       CTL(17)
#define ENTRY_CTL_LOAD_RTIT        CTL(18)
#define ENTRY_CTL_LOAD_CET         CTL(20)
#define ENTRY_CTL_LOAD_LBR         CTL(21)
#define ENTRY_CTL_LOAD_PKRS        CTL(22)

/* Bits that must be 1 where a processor does not say otherwise by the TRUE capability MSRs: the default1
 * class, SDM 3D "Basic VMX Information". */
#define PIN_DEFAULT1       0x00000016u
#define PROC_DEFAULT1      0x0401e172u
#define EXIT_CTL_DEFAULT1  0x00036dffu
#define ENTRY_CTL_DEFAULT1 0x000011ffu

/* Exit reasons: EXIT_<NAME>. */
enum exit_reason {
#define EXIT_REASON(name, number, text) EXIT_##name = (number),
#include "vmx/exit_reasons.def"
#undef EXIT_REASON
        EXIT_REASON_COUNT = 76 /* size of a table indexed by basic exit reason */
};
#define EXIT_REASON_BASIC      BITS(15, 0)
#define EXIT_REASON_ENTRY_FAIL CTL(31)

/* VM-instruction errors: VMX_ERR_<NAME>. */
enum vmx_insn_error {
        VMX_ERR_NONE = 0,
#define INSN_ERROR(name, number, text) VMX_ERR_##name = (number),
#include "vmx/insn_errors.def"
#undef INSN_ERROR
};

/* Exit qualification of entry failures: SDM 3C "VM-Entry Failures During or After Loading Guest State". */
enum entry_fail_qualification {
        ENTRY_FAIL_QUAL_NONE = 0,
        ENTRY_FAIL_QUAL_PDPTE = 2,
        ENTRY_FAIL_QUAL_NMI = 3,
        ENTRY_FAIL_QUAL_LINK = 4,
};

/* Interruption information of VM exits and VM entries, and IDT-vectoring information. */
#define INTR_VECTOR      BITS(7, 0)
#define INTR_TYPE        BITS(10, 8) /* enum intr_type */
#define INTR_ERROR_VALID CTL(11)
#define INTR_NMI_UNBLOCK CTL(12)      /* exits only: NMI unblocking due to IRET */
#define INTR_RESERVED    BITS(30, 12) /* entries */
#define INTR_VALID       CTL(31)
enum intr_type {
        INTR_TYPE_EXT = 0,
        INTR_TYPE_RESERVED = 1,
        INTR_TYPE_NMI = 2,
        INTR_TYPE_HW_EXCEPTION = 3,
        INTR_TYPE_SW_INTR = 4,
        INTR_TYPE_PRIV_SW_EXCEPTION = 5, /* INT1 */
        INTR_TYPE_SW_EXCEPTION = 6,      /* INT3, INTO */
        INTR_TYPE_OTHER = 7,
};

/* Exception vectors. */
enum vector {
        VEC_DE = 0,
        VEC_DB = 1,
        VEC_NMI = 2,
        VEC_BP = 3,
        VEC_OF = 4,
        VEC_BR = 5,
        VEC_UD = 6,
        VEC_NM = 7,
        VEC_DF = 8,
        VEC_TS = 10,
        VEC_NP = 11,
        VEC_SS = 12,
        VEC_GP = 13,
        VEC_PF = 14,
        VEC_MF = 16,
        VEC_AC = 17,
        VEC_MC = 18,
        VEC_XM = 19,
        VEC_VE = 20,
        VEC_CP = 21,
};

/* Guest interruptibility state. */
#define INTRBLK_STI     CTL(0)
#define INTRBLK_MOV_SS  CTL(1)
#define INTRBLK_SMI     CTL(2)
#define INTRBLK_NMI     CTL(3)
#define INTRBLK_ENCLAVE CTL(4)

enum activity { ACTIVITY_ACTIVE = 0, ACTIVITY_HLT = 1, ACTIVITY_SHUTDOWN = 2, ACTIVITY_WAIT_SIPI = 3 };

/* Pending debug exceptions. */
#define PENDING_DBG_B0_B3      BITS(3, 0)
#define PENDING_DBG_BUS_LOCK   BIT(11)
#define PENDING_DBG_ENABLED_BP BIT(12)
#define PENDING_DBG_BS         BIT(14)
#define PENDING_DBG_RTM        BIT(16)

/* Segment access rights as in a VMCS. */
#define AR_TYPE     BITS(3, 0)
#define AR_S        CTL(4)
#define AR_DPL      BITS(6, 5)
#define AR_P        CTL(7)
#define AR_RESERVED (BITS(11, 8) | BITS(31, 17))
#define AR_AVL      CTL(12)
#define AR_L        CTL(13)
#define AR_DB       CTL(14)
#define AR_G        CTL(15)
#define AR_UNUSABLE CTL(16)

/* SDM 3C "Exit Qualification for EPT Violations" */
#define EPTQ_READ         BIT(0)
#define EPTQ_WRITE        BIT(1)
#define EPTQ_FETCH        BIT(2)
#define EPTQ_R            BIT(3) /* the entries' permissions, ANDed */
#define EPTQ_W            BIT(4)
#define EPTQ_X            BIT(5)
#define EPTQ_RWX          BITS(5, 3)
#define EPTQ_X_USER       BIT(6)
#define EPTQ_LINEAR_VALID BIT(7)
#define EPTQ_TRANSLATED   BIT(8) /* the access itself, not one to a paging structure */
#define EPTQ_NMI_UNBLOCK  BIT(12)

/* SDM 3C "Exit Qualification for Control-Register Accesses" */
#define CRQ_NUMBER      BITS(3, 0)
#define CRQ_TYPE        BITS(5, 4) /* enum cr_access */
#define CRQ_LMSW_MEMORY BIT(6)
#define CRQ_GPR         BITS(11, 8)
#define CRQ_LMSW_SOURCE BITS(31, 16)
enum cr_access { CR_MOV_TO = 0, CR_MOV_FROM = 1, CR_CLTS = 2, CR_LMSW = 3 };

/* SDM 3C "Exit Qualification for MOV DR" */
#define DRQ_NUMBER BITS(2, 0)
#define DRQ_FROM   BIT(4)
#define DRQ_GPR    BITS(11, 8)

/* SDM 3C "Exit Qualification for I/O Instructions" */
#define IOQ_SIZE      BITS(2, 0) /* bytes - 1: 0, 1 or 3 */
#define IOQ_IN        BIT(3)
#define IOQ_STRING    BIT(4)
#define IOQ_REP       BIT(5)
#define IOQ_IMMEDIATE BIT(6)
#define IOQ_PORT      BITS(31, 16)

/* SDM 3C "Exit Qualification for Task Switches" */
#define TSQ_SELECTOR BITS(15, 0)
#define TSQ_SOURCE   BITS(31, 30) /* CALL, IRET, JMP, task gate in IDT */

/* VM-exit instruction information of VMX instructions (SDM 3C "VM-Exit Instruction-Information Field"):
 * memory operands of VMCLEAR VMPTRLD VMPTRST VMXON, of INVEPT INVVPID INVPCID, and of VMREAD VMWRITE. */
#define INSN_SCALE         BITS(1, 0)
#define INSN_REG1          BITS(6, 3)   /* VMREAD, VMWRITE with a register operand */
#define INSN_ADDR_SIZE     BITS(9, 7)   /* enum insn_addr_size */
#define INSN_IS_REG        BIT(10)      /* VMREAD, VMWRITE */
#define INSN_SEG           BITS(17, 15) /* enum seg_reg of emulate/view.h */
#define INSN_INDEX         BITS(21, 18)
#define INSN_INDEX_INVALID BIT(22)
#define INSN_BASE          BITS(26, 23)
#define INSN_BASE_INVALID  BIT(27)
#define INSN_REG2          BITS(31, 28) /* INVEPT INVVPID: type; VMREAD VMWRITE: the field's encoding */
enum insn_addr_size { INSN_ADDR_16 = 0, INSN_ADDR_32 = 1, INSN_ADDR_64 = 2 };

/* VMX capability MSRs. */
#define MSR_FEATURE_CONTROL 0x03a
#define MSR_VMX_BASIC       0x480
#define MSR_VMX_PIN         0x481
#define MSR_VMX_PROC        0x482
#define MSR_VMX_EXIT        0x483
#define MSR_VMX_ENTRY       0x484
#define MSR_VMX_MISC        0x485
#define MSR_VMX_CR0_FIXED0  0x486
#define MSR_VMX_CR0_FIXED1  0x487
#define MSR_VMX_CR4_FIXED0  0x488
#define MSR_VMX_CR4_FIXED1  0x489
#define MSR_VMX_VMCS_ENUM   0x48a
#define MSR_VMX_PROC2       0x48b
#define MSR_VMX_EPT_VPID    0x48c
#define MSR_VMX_TRUE_PIN    0x48d
#define MSR_VMX_TRUE_PROC   0x48e
#define MSR_VMX_TRUE_EXIT   0x48f
#define MSR_VMX_TRUE_ENTRY  0x490
#define MSR_VMX_VMFUNC      0x491
#define MSR_VMX_LAST        0x491

#define FEATURE_CONTROL_LOCK       BIT(0)
#define FEATURE_CONTROL_VMX_IN_SMX BIT(1)
#define FEATURE_CONTROL_VMX        BIT(2)

/* IA32_VMX_BASIC */
#define BASIC_REVISION       BITS(30, 0)
#define BASIC_REGION_SIZE    BITS(44, 32)
#define BASIC_ADDR_32        BIT(48) /* VMX structures below 4 GiB only */
#define BASIC_DUAL_MONITOR   BIT(49)
#define BASIC_MEMTYPE        BITS(53, 50)
#define BASIC_INS_OUTS       BIT(54)
#define BASIC_TRUE_CTLS      BIT(55)
#define BASIC_ANY_ERRORCODE  BIT(56) /* events may carry an error code whatever their vector */
#define VMCS_REVISION_SHADOW CTL(31) /* first word of a VMCS region: the shadow-VMCS indicator */

/* IA32_VMX_MISC */
#define MISC_TIMER_SHIFT  BITS(4, 0)
#define MISC_STORES_LMA   BIT(5)
#define MISC_HLT          BIT(6)
#define MISC_SHUTDOWN     BIT(7)
#define MISC_WAIT_SIPI    BIT(8)
#define MISC_PT           BIT(14)
#define MISC_SMBASE_MSR   BIT(15)
#define MISC_CR3_TARGETS  BITS(24, 16)
#define MISC_MSR_LIST     BITS(27, 25) /* recommended maximum is 512 * (n + 1) */
#define MISC_SMI_AFTER_VMXOFF BIT(28)
#define MISC_VMWRITE_ANY  BIT(29)      /* VMWRITE works on read-only fields too */
#define MISC_INJECT_ILEN0 BIT(30)      /* software events of instruction length 0 */

/* IA32_VMX_EPT_VPID_CAP */
#define EPTCAP_EXEC_ONLY      BIT(0)
#define EPTCAP_WALK4          BIT(6)
#define EPTCAP_WALK5          BIT(7)
#define EPTCAP_UC             BIT(8)
#define EPTCAP_WB             BIT(14)
#define EPTCAP_2M             BIT(16)
#define EPTCAP_1G             BIT(17)
#define EPTCAP_INVEPT         BIT(20)
#define EPTCAP_AD             BIT(21)
#define EPTCAP_ADVANCED_INFO  BIT(22)
#define EPTCAP_SSS            BIT(23) /* EPTP bit 7: supervisor shadow stacks */
#define EPTCAP_INVEPT_SINGLE  BIT(25)
#define EPTCAP_INVEPT_ALL     BIT(26)
#define EPTCAP_INVVPID        BIT(32)
#define EPTCAP_INVVPID_ADDR   BIT(40)
#define EPTCAP_INVVPID_SINGLE BIT(41)
#define EPTCAP_INVVPID_ALL    BIT(42)
#define EPTCAP_INVVPID_GLOBAL BIT(43) /* single context, retaining globals */

#define VMFUNC_EPTP_SWITCHING BIT(0) /* IA32_VMX_VMFUNC and the VM-function controls */

enum invept_type { INVEPT_SINGLE = 1, INVEPT_ALL = 2 };
enum invvpid_type { INVVPID_ADDR = 0, INVVPID_SINGLE = 1, INVVPID_ALL = 2, INVVPID_GLOBAL = 3 };

#endif
