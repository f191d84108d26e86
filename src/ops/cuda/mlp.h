// The whole ffn branch of narrow bf16 models in two kernels: a block keeps a member's two matrices
// in shared memory, and hidden units exist only in registers.
#pragma once
#include "ops/cuda/kernels.h"

namespace rung::cuda {

struct MlpShape {
  Curve curve;
  int64_t members, rows, width, inner;
  int64_t first_stride, second_stride;  // elements between members' matrices
  float slope;
};
// Both matrices and their gradients must fit into one multiprocessor.
constexpr bool fits_mlp(int64_t width, int64_t inner) {
  return (width == 32 || width == 64) && inner >= 8 && inner % 8 == 0 && inner <= 192;
}

// What follows the branch: y = factor map RMSNorm(out), map [.., out, width], or without a map y =
// RMSNorm(out).
struct NextMap {
  const void* map;
  int64_t map_stride, out;
  float epsilon, factor;
  void* y;
};

// The branch between its residual additions: h = skip x + branch f (f null: h = x, not written), u
// = RMSNorm(h), out = out_skip h + mlp(u). With a map [.., width, width], `map_stride` elements
// between members, map_factor map f takes the place of f.
struct MlpAround {
  float epsilon;
  const void* f;
  const void* map;
  int64_t map_stride;
  float map_factor;
  float skip, branch;
  void* h;
  float out_skip;
  const NextMap* next = nullptr;  // where sliced_mlp_takes_next, or with streamed_mlp
};

struct MlpForward {
  const void *x, *first, *second;  // first [.., 2 inner (gated) or inner, width], second [..,
                                   // width, inner]
  float first_factor, activation, second_factor;
  void* out;
  const MlpAround* block;  // null: out = mlp(x)
};
// mlp(u) = second_factor second hidden, hidden = activation curve(first_factor first u).
void mlp_forward(const MlpShape& shape, const MlpForward& forward, Stream stream);

struct MlpAroundGradient {
  float epsilon;
  float input_gradient;  // factor on the gradient through the norm
  float out_skip;
  float skip, branch;  // dx = skip total, df = branch total
  void* df;            // null where both are the same
  // dmapped = map_factor map^T df, unless it is null.
  const void* map = nullptr;
  int64_t map_stride = 0;
  float map_factor = 1.0f;
  void* dmapped = nullptr;
};

struct MlpBackward {
  const void *x, *first, *second, *dout;  // x: h where there is a block
  float first_factor, activation;         // of the forward pass
  float dhidden;  // dcurve = dhidden second^T dout, the activation's factor included
  float dinput;   // du = dinput first^T dpre
  float dfirst_factor, dsecond_factor;
  void* dx;
  float *dfirst, *dsecond;  // added to; both null: frozen
  int64_t dfirst_stride, dsecond_stride;
  float* partial;  // [members, mlp_blocks(shape), elements of both matrices]
  const MlpAroundGradient* block;
};
// Blocks that share a member's rows: as many as the device holds, so that the order of the
// matrices' sums depends on the number of members.
int64_t mlp_blocks(const MlpShape& shape);
// Whether a block has room for the map besides: where few rows make its tiles small.
bool mlp_maps_back(const MlpShape& shape);
void mlp_backward(const MlpShape& shape, const MlpBackward& backward, Stream stream);
// Then the matrices' gradients += their factors times the blocks' sums in `partial`.
void mlp_join(const MlpShape& shape, const MlpBackward& backward, Stream stream);

}  // namespace rung::cuda
