// Door to OpenSSL 3. No logic: macros that Swift cannot import become inline functions here.
#pragma once
#include <openssl/evp.h>
