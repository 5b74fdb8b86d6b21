// Door to LMDB 0.9. No logic.
#pragma once
#include <lmdb.h>
