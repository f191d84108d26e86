// A recurrence of recurrence.h on tensors, for the ops that are made of one.
#pragma once
#include <ATen/core/Tensor.h>

#include "ops/cuda/recurrence.h"
#include "ops/cuda/tensor.h"

namespace rung::cuda {

// One recurrence and what its gradient needs: its inputs, and numbers a step and head.
struct Recurrence {
  RecurrenceShape shape;
  at::Tensor q, k, v, first, second;  // gates: dt and a, or input and forget
  at::Tensor skip;                    // undefined: none
  at::Tensor from, to, ends, floor, to_gradient, m;
  at::Tensor states, norms;  // kept from the forward pass, or undefined

  RecurrenceGates gates(const at::Tensor& at) const {
    return {floats(from), floats(at), floats(ends), floats(floor)};
  }
  RecurrenceGates gates_of_gradient() const { return gates(shape.normalised ? to_gradient : to); }
};

struct Outcome {
  at::Tensor y;     // [P, B, T, heads, values]
  at::Tensor last;  // [P, B, heads, keys, values (+ 1)]
};

// q and k [P, B, T, groups, splits, keys].
struct InputGradients {
  at::Tensor q, k, v, first, second, skip;
};

inline bool is_half(const at::Tensor& t) {
  return t.scalar_type() == at::kBFloat16;
}
// Whether rows of t [P, B, T, heads, size] may be read where they lie: those of a step side by
// side, steps and sequences at even distances.
bool lies_by_step(const at::Tensor& t);

// v [P, B, T, heads, values] and k [P, B, T, groups, keys] from a fresh state.
bool fits_recurrence(const at::Tensor& v, const at::Tensor& k);
RecurrenceShape recurrence_shape(const at::Tensor& v, const at::Tensor& k, bool normalised);

// kept: for a gradient. The last state is made where it is wanted.
Outcome run_recurrence(Recurrence& r, bool kept, bool last_wanted);

// Into `to`, whose shares are yet to be summed. delta: of recurrence_delta, where it is known.
void recurrence_gradient(const Recurrence& r, const at::Tensor& y, const at::Tensor& gradient,
                         const InputGradients& to, const at::Tensor& delta);

}  // namespace rung::cuda
