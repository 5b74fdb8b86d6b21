// The wall clock, by the vDSO, and the one since the machine's start.
#pragma once
#include <stdint.h>

// As exact as the kernel's tick (1 to 4 ms), and as cheap.
int64_t linux_wall_nanos(void);
// Since the machine's start, its sleep included: what the kernel measures the start of processes by.
int64_t linux_boot_nanos(void);
