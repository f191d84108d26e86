// The laws by name, one file each beside this one; law.cpp lists them.
#pragma once
#include "law/law.h"

namespace rung {

extern const Law chinchilla_law;
extern const Law power_law;
extern const Law broken_power_law;
extern const Law annealing_law;
extern const Law data_mixing_law;
extern const Law fine_grained_moe_law;
extern const Law joint_moe_law;
extern const Law precision_law;
extern const Law ptq_law;
extern const Law rectified_law;
extern const Law routing_law;
extern const Law sigmoid_law;
extern const Law upcycling_law;

extern const LawFamily data_mixing_family;

}  // namespace rung
