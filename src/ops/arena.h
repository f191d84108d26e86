// One flat buffer [P, n] holds all weights of a population; a weight is a named view of it. Frozen
// tensors lie behind the trained ones, so that gradients and moments end before them.
#pragma once
#include <ATen/core/Tensor.h>

#include <functional>
#include <string_view>
#include <vector>

#include "ops/weight.h"
#include "scaling/parametrisation.h"

namespace rung {

// Where each tensor lies. Offsets are multiples of 128 elements; padding stays zero and is never
// counted.
struct Layout {
  std::vector<TensorSpec> tensors;
  std::vector<Factors> factors;
  std::vector<int64_t> offsets;
  int64_t stride = 0;   // n: elements of one member
  int64_t trained = 0;  // of them, in front: those of tensors that are not frozen
};

Layout make_layout(std::vector<TensorSpec> tensors, const Parametrisation& parametrisation,
                   const Dims& dims, std::string_view alignment);

// The view [P, shape...] of tensor `index` in an arena [P, n].
at::Tensor view(const Layout& layout, const at::Tensor& arena, size_t index);

// What an optimizer moves: the trained tensors alone, in an arena of their elements.
Layout trained_part(const Layout& layout);

// Views of every tensor with its multipliers; `gradients` [P, n] or [P, trained] may be undefined,
// and is where a tensor is frozen.
std::vector<Weight> bind(const Layout& layout, const at::Tensor& values,
                         const at::Tensor& gradients);

// Runs task(0 .. count - 1), in any order, and waits.
using Parallel = std::function<void(int64_t count, const std::function<void(int64_t)>& task)>;

// Fills one member's row [n] from its seed: N(0, B^2) keyed by (seed, tensor name), gains 1, biases
// 0, a tensor's own start where it has one, and 0 where a sparse tensor's mask is. The numbers do
// not depend on `parallel`; without it the caller's thread makes all of them.
void initialise(const Layout& layout, at::Tensor row, uint64_t seed, const Parallel& parallel = {});

// Whether any tensor is sparse, and the mask [n] of one member, 1 where training may move the
// weight and 0 elsewhere, keyed by (seed, tensor name) like the values.
bool has_sparse(const Layout& layout);
void fill_mask(const Layout& layout, at::Tensor row, uint64_t seed);

}  // namespace rung
