// What Adam's two moments are kept in (train.moments), and the plain twin of what kernels do with
// fewer bits (ops/moments.h).
#pragma once
#include "ops/moments.h"
#include "optim/optimizer.h"

namespace rung {

// The optimizer's states with moments in this type: fp32 (the masters' own), bf16 or fp8. Fails
// (usage) where it keeps others than Adam's two.
std::vector<StateSpec> states_of(const Optimizer& optimizer, const Layout& layout,
                                 const std::string& moments);
// Bytes of one member's, with masters of so many bytes.
double state_bytes(const std::vector<StateSpec>& states, double master);

inline const std::string first_moment = "exp_avg", second_moment = "exp_avg_sq",
                         moment_scales = "exp_avg_scale";  // of the first, where it is in E4M3

// How a step's moments are kept.
MomentKind kind_of(const std::map<std::string, at::Tensor>& state);

// Tensor `index` of one of the moments, [P, size], in the masters' type (which may be the moment
// itself), and back.
at::Tensor read_moment(const StepInput& input, size_t index, const std::string& name);
void write_moment(const StepInput& input, size_t index, const std::string& name,
                  const at::Tensor& value);

}  // namespace rung
