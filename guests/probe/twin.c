/* SPDX-License-Identifier: BSD-2-Clause */
/* The twin run: classes, numbers, options. */
#include "apic.h"
#include "base/libc.h"
#include "base/x86.h"
#include "hw/cpu.h"
#include "twin.h"
#include "twin_classes.h"

#define DEFAULT_SEED 1
#define PIC_MASK_A   0x21
#define PIC_MASK_B   0xa1

/* In the order of the run. */
static const struct twin_class classes[] = {
#define CLASS(word) {#word, word##_count, word##_one},
        TWIN_CLASSES(CLASS)
#undef CLASS
};

struct options {
        uint64_t seed, cases, only; /* cases: at most so many, 0: all; only: one case's number, or NONE */
        const char *class;          /* of the command line: ends at a blank */
};
#define NONE UINT64_MAX

static uint64_t number(const char *s)
{
        uint64_t v = 0;
        for (; *s >= '0' && *s <= '9'; s++)
                v = v * 10 + (uint64_t)(*s - '0');
        return v;
}

static struct options read_options(const char *words)
{
        struct options o = {.seed = DEFAULT_SEED, .only = NONE};
        for (const char *w = words; w && *w; w = strchr(w, ' ')) {
                w += *w == ' ';
                if (strncmp(w, "seed=", 5) == 0)
                        o.seed = number(w + 5);
                else if (strncmp(w, "cases=", 6) == 0)
                        o.cases = number(w + 6);
                else if (strncmp(w, "only=", 5) == 0)
                        o.only = number(w + 5);
                else if (strncmp(w, "class=", 6) == 0)
                        o.class = w + 6;
        }
        return o;
}

static bool chosen(const struct options *o, const struct twin_class *c)
{
        const size_t n = strlen(c->name);
        return !o->class || (strncmp(o->class, c->name, n) == 0 && (!o->class[n] || o->class[n] == ' '));
}

static void one_case(struct twin *t, const struct twin_class *c, uint64_t seed, unsigned n, unsigned number)
{
        t->what = t->seen = (struct twin_text){0};
        t->random = twin_mix(seed) ^ twin_mix(number + 1);
        c->one(t, n);
        char lost[16] = "";
        if (t->seen.lost || t->what.lost)
                snprintf(lost, sizeof(lost), " ..%x", t->seen.lost ^ t->what.lost);
        say("t %u %s%s :%s%s%s%s", number, c->name, t->what.text, t->seen.text, lost,
            t->violated ? " ~ " : "", t->violated ? t->violated : "");
        twin_restore(t);
}

/* With fewer cases than there are, each class gives up the same share: every so-many-th case runs. */
static unsigned run_classes(struct twin *t, const struct options *o)
{
        unsigned counts[ARRAY_LEN(classes)], total = 0, done = 0, number = 0;
        for (unsigned i = 0; i < ARRAY_LEN(classes); i++) {
                counts[i] = classes[i].count();
                total += chosen(o, &classes[i]) ? counts[i] : 0;
        }
        const uint64_t share = o->cases && o->cases < total && o->only == NONE ? o->cases : total;
        uint64_t credit = 0;
        for (unsigned i = 0; i < ARRAY_LEN(classes); i++) {
                const bool skipped = !chosen(o, &classes[i]);
                for (unsigned n = 0; n < counts[i]; n++, number++) {
                        if (skipped || (o->only != NONE && o->only != number))
                                continue;
                        credit += share;
                        if (credit < total)
                                continue;
                        credit -= total;
                        one_case(t, &classes[i], o->seed, n, number);
                        done++;
                }
        }
        return done;
}

static void say_capabilities(const struct l2 *l)
{
        const struct vmx_caps *c = &l->caps;
        say("caps pin=%x proc=%x proc2=%x exit=%x entry=%x misc=%llx ept_vpid=%llx vmfunc=%llx basic=%llx",
            c->pin.may1, c->proc.may1, c->proc2.may1, c->exit.may1, c->entry.may1,
            (unsigned long long)c->misc, (unsigned long long)c->ept_vpid, (unsigned long long)c->vmfunc,
            (unsigned long long)(c->basic & ~(uint64_t)BASIC_REVISION));
}

void twin_run_all(struct probe *p, const char *words)
{
        static struct twin t;
        const struct options o = read_options(words);
        say_by_hypercall(p);
        t.l2.p = p;
        if (!vmx_start(&t.l2))
                return;
        say_capabilities(&t.l2);
        hw_outb(PIC_MASK_A, 0xff);
        hw_outb(PIC_MASK_B, 0xff);
        apic_write(APIC_SVR, (uint32_t)SVR_ENABLE | SVR_SPURIOUS);
        hw_write_cr4(hw_read_cr4() | CR4_VMXE);
        BUG_UNLESS(hw_vmxon(HPA((uint64_t)l2_vmxon_page)) == HW_OK);
        twin_prepare(&t);
        say("twin: seed %llu", (unsigned long long)o.seed);
        const unsigned done = run_classes(&t, &o);
        say("twin: seed %llu, %u cases", (unsigned long long)o.seed, done);
}
