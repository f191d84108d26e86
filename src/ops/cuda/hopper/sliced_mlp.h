// The ffn's step at width 128, whose matrices are too large for a multiprocessor: they pass by in
// slices of 64 hidden units, while a block keeps its rows.
#pragma once
#include "ops/cuda/mlp.h"

namespace rung::cuda {

constexpr bool fits_sliced_mlp(int64_t width, int64_t inner) {
  return width == 128 && inner >= 8 && inner % 8 == 0;
}

// Whether the forward pass can end with a next map of so many outputs (0: with the norm alone):
// where rows are few.
bool sliced_mlp_takes_next(const MlpShape& shape, int64_t out);
// As mlp_forward, with a block.
void sliced_mlp_forward(const MlpShape& shape, const MlpForward& forward, Stream stream);

// The gradient of the step's output through the norm and map that the forward pass took along: dx =
// around + the norm's gradient of dinput map^T dy, without a map of dinput dy. `unit` is written as
// in WideNormLinearGradient.
struct NextMapGradient {
  const void *x, *map;
  int64_t map_stride, out;
  float epsilon, dinput;
  const void *dy, *around;  // around may be null
  void *dx, *unit;
};

struct SlicedMlpBackward {
  const void *h, *first, *second, *dout;  // dout: null with `next`, whose dx it is
  float first_factor, activation;         // of the forward pass
  float dhidden, dinput;                  // as in MlpBackward
  const MlpAroundGradient* block;
  void* dx;
  // What the matrices' gradients are made of, where they are wanted: norm(h) [rows, width], and the
  // gradients of the first product [rows, 2 inner (gated) or inner] for the first; the hidden units
  // [rows, inner] for the second.
  void *unit, *units, *hidden;
  const NextMapGradient* next = nullptr;  // where sliced_mlp_takes_next, or with streamed_mlp
};
void sliced_mlp_backward(const MlpShape& shape, const SlicedMlpBackward& backward, Stream stream);

}  // namespace rung::cuda
