// A row's small table at fractional positions, for contextual positions. Since these do not rise
// along the keys, the keys that touch one entry lie together: the entry's own thread finds them by
// bisection and sums in order.
#include "ops/cuda/common.cuh"

namespace rung::cuda {
namespace {

constexpr int threads = 256;

__global__ void __launch_bounds__(threads)
    forward(InterpolateShape s, const float* table, const float* p, float* out) {
  const int64_t index = static_cast<int64_t>(blockIdx.x) * threads + threadIdx.x;
  if (index >= s.rows * s.keys) return;
  const float* own = table + index / s.keys * s.count;
  const float below = floorf(p[index]), share = p[index] - below;
  out[index] = own[static_cast<int>(ceilf(p[index]))] * share +
               own[static_cast<int>(below)] * (1.0f - share);
}

__global__ void __launch_bounds__(threads)
    to_positions(InterpolateShape s, const float* table, const float* p, const float* dout,
                 float* dp) {
  const int64_t index = static_cast<int64_t>(blockIdx.x) * threads + threadIdx.x;
  if (index >= s.rows * s.keys) return;
  const float* own = table + index / s.keys * s.count;
  dp[index] = dout[index] *
              (own[static_cast<int>(ceilf(p[index]))] - own[static_cast<int>(floorf(p[index]))]);
}

// The first key whose position is below `bound`.
__device__ int64_t first_below(const float* p, int64_t keys, float bound) {
  int64_t low = 0, high = keys;
  while (low < high) {
    const int64_t middle = (low + high) / 2;
    if (p[middle] < bound)
      high = middle;
    else
      low = middle + 1;
  }
  return low;
}

__global__ void __launch_bounds__(threads)
    to_table(InterpolateShape s, const float* p, const float* dout, float* dtable) {
  const int64_t index = static_cast<int64_t>(blockIdx.x) * threads + threadIdx.x;
  if (index >= s.rows * s.count) return;
  const int64_t row = index / s.count;
  const float entry = static_cast<float>(index % s.count);
  p += row * s.keys;
  dout += row * s.keys;
  float sum = 0.0f;
  for (int64_t key = first_below(p, s.keys, entry + 1.0f); key < s.keys; ++key) {
    const float gap = fabsf(p[key] - entry);
    if (p[key] <= entry - 1.0f) break;
    sum = fmaf(dout[key], 1.0f - gap, sum);
  }
  dtable[index] = sum;
}

}  // namespace

void interpolate_forward(const InterpolateShape& s, const float* table, const float* p, float* out,
                         Stream stream) {
  forward<<<blocks_for(s.rows * s.keys, threads), threads, 0, stream>>>(s, table, p, out);
  check_launch();
}

void interpolate_backward(const InterpolateShape& s, const float* table, const float* p,
                          const float* dout, float* dtable, float* dp, Stream stream) {
  to_positions<<<blocks_for(s.rows * s.keys, threads), threads, 0, stream>>>(s, table, p, dout, dp);
  to_table<<<blocks_for(s.rows * s.count, threads), threads, 0, stream>>>(s, p, dout, dtable);
  check_launch();
}

}  // namespace rung::cuda
