// A gate and a norm by group in one pass each way (ops/gated_norm.h).
#pragma once
#include "ops/cuda/kernels.h"

namespace rung::cuda {

constexpr int64_t widest_gated_norm = 2048;

struct GatedNorm {
  int64_t rows, groups, width;  // of a group, a multiple of 8 up to widest_gated_norm
  int64_t gate_stride;          // elements between rows of the gate
  float epsilon;
  bool center;
  bool gate_before;
  int64_t dgate_stride = 0;  // elements between rows of the gate's gradient; 0: it is packed
};
// x and y [rows, groups, width]; gate [rows, groups, width] with gate_stride.
void gated_norm_forward(Type type, const GatedNorm& shape, const void* x, const void* gate, void* y,
                        Stream stream);
// dx [rows, groups, width] and dgate, the same with dgate_stride, from the forward pass's inputs
// and dy.
void gated_norm_backward(Type type, const GatedNorm& shape, const void* x, const void* gate,
                         const void* dy, void* dx, void* dgate, Stream stream);

// dots [rows / time, groups, steps] = -sign <dx, x> of each row and group, where rows are time rows
// a sequence and what lies beyond them in `steps` is left alone: recurrence_delta of a recurrence
// that ends in this norm.
struct GroupDots {
  const float* sign = nullptr;
  float* dots = nullptr;  // null: none are wanted
  int64_t time = 1, steps = 1;
};
void gated_norm_backward(Type type, const GatedNorm& shape, const void* x, const void* gate,
                         const void* dy, void* dx, void* dgate, const GroupDots& dots,
                         Stream stream);

}  // namespace rung::cuda
