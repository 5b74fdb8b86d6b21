// The wall clock, by the vDSO.
#pragma once
#include <stdint.h>

// As exact as the kernel's tick (1 to 4 ms), and as cheap.
int64_t linux_wall_nanos(void);
