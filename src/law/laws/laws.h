// The laws by name, one file each beside this one; law.cpp lists them.
#pragma once
#include "law/law.h"

namespace rung {

extern const Law chinchilla_law;
extern const Law power_law;
extern const Law broken_power_law;
extern const Law annealing_law;
extern const Law chinchilla_gamma_law;
extern const Law data_constrained_law;
extern const Law data_mixing_law;
extern const Law densing_law;
extern const Law distillation_law;
extern const Law fine_grained_moe_law;
extern const Law inference_aware_law;
extern const Law joint_moe_law;
extern const Law kaplan_chinchilla_law;
extern const Law kaplan_compute_law;
extern const Law kaplan_data_law;
extern const Law kaplan_law;
extern const Law kaplan_size_law;
extern const Law kbit_law;
extern const Law levine_law;
extern const Law multi_power_law;
extern const Law overtraining_law;
extern const Law precision_law;
extern const Law ptq_law;
extern const Law rectified_law;
extern const Law routing_law;
extern const Law sigmoid_law;
extern const Law upcycling_law;
extern const Law warmup_law;
extern const Law width_depth_law;
extern const Law width_depth_size_law;

extern const LawFamily data_mixing_family;

}  // namespace rung
