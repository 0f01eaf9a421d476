/* SPDX-License-Identifier: BSD-2-Clause */
/* sort.h - sorting in place: no allocation, n log n comparisons whatever the order. [pure] */
#ifndef CASCADE_BASE_SORT_H
#define CASCADE_BASE_SORT_H

#include <stddef.h>

/* Heap sort with the contract of qsort: not stable. */
void sort_array(void *array, size_t count, size_t bytes, int (*compare)(const void *, const void *));

#endif
