// What an optimizer is: named states beside the arena and one step over it. A new optimizer is one
// source file, one test and one line in the table.
#pragma once
#include <ATen/core/Tensor.h>

#include <array>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ops/arena.h"

namespace rung {

// Per-member numbers of one step, as a float tensor [P, size] on the arena's device (CUDA graphs
// read it there).
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
  int64_t size = 0;  // elements per member
};

struct StepInput {
  const Layout& layout;
  at::Tensor weights, gradient;              // [P, n]; weights in their master type
  std::map<std::string, at::Tensor>& state;  // [P, size]
  at::Tensor hyper;  // [P, hyper_count]; lr and decay hold the schedule, scale the clip
};

struct Optimizer {
  std::string_view name, summary;
  std::vector<StateSpec> (*state)(const Layout&);
  void (*step)(const StepInput&);
};

std::span<const Optimizer> optimizers();
const Optimizer& find_optimizer(std::string_view name);  // fails (usage), naming the nearest

}  // namespace rung
