/* SPDX-License-Identifier: BSD-2-Clause */
/* exit_status.h - EXIT_STATUS_<NAME> of exit_status.def. [pure] */
#ifndef CASCADE_BASE_EXIT_STATUS_H
#define CASCADE_BASE_EXIT_STATUS_H

enum exit_status {
#define EXIT_STATUS(name, number, text) EXIT_STATUS_##name = (number),
#include "base/exit_status.def"
#undef EXIT_STATUS
};

#endif
