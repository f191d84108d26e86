// A few gates of a recurrence from wide rows (ops/gate_map.h): too few columns for a library's
// products, whose tiles would be empty.
#pragma once
#include "ops/cuda/kernels.h"

namespace rung::cuda {

constexpr int64_t most_gates = 16, widest_gated = 4096;

constexpr bool fits_gate_map(int64_t width, int64_t gates) {
  return gates <= most_gates && width % 8 == 0 && width <= widest_gated;
}

// x [members, rows, width] and the matrix [members, gates, width] in bf16, biases [members, gates].
struct GateMapShape {
  int64_t members, rows, width, gates;
  int64_t matrix_stride, bias_stride;  // elements between members
  float cap;
  // Parts of the rows whose gradients of the matrix are summed on their own; a function of `rows`.
  int64_t splits() const;
};

// gates [members, rows, gates] fp32 = cap tanh((factor x matrix^T + bias_factor bias) / cap).
void gate_map_forward(const GateMapShape& shape, const void* x, const void* matrix, float factor,
                      const void* bias, float bias_factor, float* gates, Stream stream);

// Where the gradients of gates take part in a product of their neighbours': slopes, `factor` times
// the gradients of what the cap was taken of, into 16 columns of bf16 (zeros beyond the gates) at
// `to` with `stride` elements between rows of all members; biases' gradients are added to dbias,
// which may be null.
struct GateSlopes {
  const float *gates, *dgates;
  void* to;
  int64_t stride;
  float factor, bias_factor;
  float* dbias;
  int64_t dbias_stride;
  float* partial;  // [members, slope_blocks(rows), 16]; null: no biases' gradients are wanted
};
int64_t slope_blocks(int64_t rows);
void gate_slopes(const GateMapShape& shape, const GateSlopes& slopes, Stream stream);

struct GateMapGradient {
  const float *gates, *dgates;
  float input_factor, matrix_factor, bias_factor;
  void* dx;                // bf16
  float *dmatrix, *dbias;  // to add to; may be null
  int64_t dmatrix_stride, dbias_stride;
  float* partial;  // [members, splits, gates, width + 1]
};
void gate_map_backward(const GateMapShape& shape, const void* x, const void* matrix,
                       const GateMapGradient& gradient, Stream stream);

}  // namespace rung::cuda
