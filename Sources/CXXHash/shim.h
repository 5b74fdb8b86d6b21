// Door to libxxhash. No logic.
#pragma once
#include <xxhash.h>
