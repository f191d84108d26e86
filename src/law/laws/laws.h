// The laws by name, one file each beside this one; law.cpp lists them.
#pragma once
#include "law/law.h"

namespace rung {

extern const Law chinchilla_law;
extern const Law power_law;
extern const Law broken_power_law;

}  // namespace rung
