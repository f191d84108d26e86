// Gradients of an arena in two buffers: those of some tensors in bf16, which products round once
// from sums in fp32, the others' in fp32 (train.gradients). FP8-LM (Peng et al. 2023, arXiv
// 2310.18313) keeps gradients in fewer bits too; PyTorch's autocast rounds a map's to bf16.
#pragma once
#include <ATen/core/Tensor.h>

#include <vector>

#include "ops/arena.h"

namespace rung {

struct GradientArena {
  at::Tensor wide, half;  // [P, n] fp32 and [P, m] bf16
  // Where each unit of 128 elements of the layout lies, int32 [stride / 128]: a unit of `wide`, or
  // below zero -1 - a unit of `half`.
  at::Tensor places;
  std::vector<int64_t> begin;  // of each of the layout's tensors in its buffer
  std::vector<bool> is_half;
};

// Zeros for the tensors of `layout` that are not frozen, those named by `half` in bf16.
GradientArena make_gradient_arena(const Layout& layout, const std::vector<size_t>& half,
                                  int64_t members, const at::TensorOptions& options);
// The view [P, shape...] of tensor `index`; undefined where it is frozen.
at::Tensor view(const Layout& layout, const GradientArena& arena, size_t index);
// All of them in fp32, [P, stride], as in one buffer of the layout.
at::Tensor joined(const Layout& layout, const GradientArena& arena);

}  // namespace rung
