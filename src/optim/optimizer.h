// What an optimizer is: named states beside the arena and one step over it. A new optimizer is one
// source file, one test, one line in the table and one in scaling/conventions.cpp's.
#pragma once
#include <ATen/core/Tensor.h>
#include <c10/core/ScalarType.h>

#include <array>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ops/gradient_arena.h"

namespace rung {

// Per-member numbers of one step, as a tensor [P, size] on the arena's device (CUDA graphs read it
// there): float, and double for fp64 masters.
enum Hyper : int {
  hyper_lr,
  hyper_decay,
  hyper_beta1,
  hyper_beta2,
  hyper_epsilon,
  hyper_correction1,
  hyper_correction2,
  hyper_scale,
  hyper_count
};

struct StateSpec {
  std::string name;
  int64_t size = 0;                         // elements per member
  std::optional<at::ScalarType> type = {};  // none: the masters' own
};

struct StepInput {
  const Layout& layout;
  at::Tensor weights, gradient;              // [P, n]; weights in their master type
  std::map<std::string, at::Tensor>& state;  // [P, size]
  at::Tensor hyper;  // [P, hyper_count]; lr and decay hold the schedule, scale the clip
  // For steps inside a CUDA graph; all may be undefined.
  at::Tensor slots;    // make_slots(layout) on the weights' device
  at::Tensor alive;    // int32 [P]: members at 0 are left as they are
  at::Tensor compute;  // bf16 [P, n]: receives the new weights, rounded
  // int64 [P] on the weights' device: of the draws by which this step rounds moments that are kept
  // in fewer bits (optim/moments.h). Undefined: to the nearest.
  at::Tensor keys = {};
  // E4M3 [P, n]: receives, instead of `compute`, the new weights of units whose slot names a scale.
  at::Tensor codes = {};
  const GradientArena* split = nullptr;  // instead of `gradient`; adamw alone reads it
};

// One number of each member's step as [P, 1] in the weights' type.
at::Tensor hyper_column(const StepInput& input, Hyper which);
// One tensor's elements in an arena, [P, size].
at::Tensor flat_part(const Layout& layout, const at::Tensor& arena, size_t index);
// Whether a matrix rule (SOAP, Muon) updates this tensor: hidden matrices.
bool is_hidden_matrix(const TensorSpec& tensor);

// Factors of every unit of 128 elements of the arena, fp32 [n / 128, 4]: C, decay, epsilon, and 0
// or the scale of StepInput::codes.
at::Tensor make_slots(const Layout& layout);

// The weights that evaluation, export and generation use, from those that the gradient is taken at.
struct EvalInput {
  const Layout& layout;
  const at::Tensor& weights;  // [P, n]
  const std::map<std::string, at::Tensor>& state;
  at::Tensor beta1;  // [P, 1], in the weights' type
};

struct Optimizer {
  std::string_view name, summary;
  std::vector<StateSpec> (*state)(const Layout&);
  void (*step)(const StepInput&);
  at::Tensor (*eval_weights)(const EvalInput&) = nullptr;  // null: the weights themselves
  bool constant_rate = false;                              // needs no cooldown and takes none
  // Its step on a GPU is a part of the captured graph; else it asks for numbers of the device, and
  // runs behind each replay.
  bool captured = true;
  bool adam_moments = false;  // keeps Adam's two, in what train.moments says
};

std::span<const Optimizer> optimizers();
const Optimizer& find_optimizer(std::string_view name);  // fails (usage), naming the nearest

}  // namespace rung
