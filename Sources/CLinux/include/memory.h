// Door to madvise. No logic; advice that is refused changes nothing.
#pragma once
#include <stdbool.h>
#include <stddef.h>

// Asks for huge pages where these bytes are touched from now on.
void linux_memory_prefer_huge(void *start, size_t count);
// Gives the memory of whole pages back; what is read there afterwards is zeros. False where it was refused.
bool linux_memory_drop(void *start, size_t count);
