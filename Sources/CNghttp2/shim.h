// Door to nghttp2 1.52 or later. No logic.
#pragma once
#include <nghttp2/nghttp2.h>
