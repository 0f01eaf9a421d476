/* SPDX-License-Identifier: BSD-2-Clause */
#include "nested/operand.h"
#include "base/addr.h"
#include "base/x86.h"

static struct vmx_operand fault_of(enum seg_reg seg)
{
        return (struct vmx_operand){ .fault = seg == SEG_SS ? OPERAND_SS : OPERAND_GP };
}

/* SDM 3A "Segmentation in IA-32e Mode": only FS and GS have a base, nothing has a limit. */
static struct vmx_operand linear_64(const struct operand_env *env, enum seg_reg seg, uint64_t offset,
                                    unsigned bytes)
{
        const uint64_t base = seg == SEG_FS || seg == SEG_GS ? env->seg[seg].base : 0;
        const uint64_t linear = base + offset;
        if (!is_canonical(linear, env->linear_bits) || !is_canonical(linear + bytes - 1, env->linear_bits))
                return fault_of(seg);
        return (struct vmx_operand){ .linear = linear };
}

static struct vmx_operand linear_32(const struct operand_env *env, enum seg_reg seg, uint64_t offset,
                                    struct operand_use use)
{
        struct guest_view view = { .paging = { .cr0 = CR0_PE }, .mode_bits = 32 };
        struct vmx_operand o = { .fault = OPERAND_OK };
        struct guest_fault fault;
        view.seg[seg] = env->seg[seg];
        if (!view_linear(&view, seg, offset, use.bytes, use.write ? ACCESS_WRITE : 0, &o.linear, &fault))
                return fault_of(seg);
        return o;
}

struct vmx_operand operand_decode(uint32_t insn_info, uint64_t displacement, struct operand_use use,
                                  const struct operand_env *env)
{
        static const uint64_t address_masks[] = {
                [INSN_ADDR_16] = BITS(15, 0),
                [INSN_ADDR_32] = BITS(31, 0),
                [INSN_ADDR_64] = BITS(63, 0),
        };
        if (use.can_be_reg && (insn_info & INSN_IS_REG))
                return (struct vmx_operand){ .is_reg = true, .reg = (enum gpr)GET(insn_info, INSN_REG1) };

        const uint64_t size = GET(insn_info, INSN_ADDR_SIZE), seg = GET(insn_info, INSN_SEG);
        if (size >= ARRAY_LEN(address_masks) || seg >= SEG_COUNT)
                return (struct vmx_operand){ .fault = OPERAND_GP };
        uint64_t offset = displacement;
        if (!(insn_info & INSN_BASE_INVALID))
                offset += env->gprs->r[GET(insn_info, INSN_BASE)];
        if (!(insn_info & INSN_INDEX_INVALID))
                offset += env->gprs->r[GET(insn_info, INSN_INDEX)] << GET(insn_info, INSN_SCALE);
        offset &= address_masks[size];
        return env->mode64 ? linear_64(env, (enum seg_reg)seg, offset, use.bytes)
                           : linear_32(env, (enum seg_reg)seg, offset, use);
}
