/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/sort.h"
#include <stdint.h>

struct heap {
        uint8_t *at;
        size_t bytes;
        int (*compare)(const void *, const void *);
};

static int order(const struct heap *h, size_t i, size_t j)
{
        return h->compare(h->at + i * h->bytes, h->at + j * h->bytes);
}

static void swap(const struct heap *h, size_t i, size_t j)
{
        uint8_t *const a = h->at + i * h->bytes, *const b = h->at + j * h->bytes;

        for (size_t k = 0; k < h->bytes; k++) {
                const uint8_t t = a[k];

                a[k] = b[k];
                b[k] = t;
        }
}

/* The children of i are 2i + 1 and 2i + 2: moves element i down until no child is larger. */
static void sift_down(const struct heap *h, size_t i, size_t count)
{
        for (size_t child; (child = 2 * i + 1) < count; i = child) {
                if (child + 1 < count && order(h, child, child + 1) < 0)
                        child++;
                if (order(h, i, child) >= 0)
                        return;
                swap(h, i, child);
        }
}

void sort_array(void *array, size_t count, size_t bytes, int (*compare)(const void *, const void *))
{
        const struct heap h = {.at = array, .bytes = bytes, .compare = compare};

        for (size_t i = count / 2; i-- > 0;)
                sift_down(&h, i, count);
        for (size_t n = count; n-- > 1;) {
                swap(&h, 0, n);
                sift_down(&h, 0, n);
        }
}
