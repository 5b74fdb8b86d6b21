// Door to libmaxminddb 1.7. No logic.
#pragma once
#include <maxminddb.h>
