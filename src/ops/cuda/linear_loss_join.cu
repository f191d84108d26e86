// Joins the splits of the pass over rows.
#include "ops/cuda/linear_loss.cuh"

namespace rung::cuda {
namespace {

// Eight lanes a row.
template <bool capped>
__global__ void __launch_bounds__(256) join_rows(LossParts in, LossResult out, int splits) {
  const int lane = threadIdx.x % 8;
  const int64_t row = (static_cast<int64_t>(blockIdx.x) * 256 + threadIdx.x) / 8;
  const int64_t member = blockIdx.y, count = static_cast<int64_t>(gridDim.y) * in.rows;
  const bool real = row < in.rows;
  const int64_t at = member * in.rows + (real ? row : 0);
  const bf16* const x = in.x + at * in.width;
  const bf16* const target = in.weight_of(member) + in.targets[at] * in.width;
  float product = 0.0f;
  for (int i = 8 * lane; i < in.width; i += 64) {
    float a[8], b[8];
    load8(x + i, a);
    load8(target + i, b);
#pragma unroll
    for (int k = 0; k < 8; ++k) product += a[k] * b[k];
  }
  product = group_sum<8>(product);
  const float z = capped ? capped_logit(product, in.scale, in.cap) : product * in.scale;
  // A lane reads every eighth split.
  float reference = -INFINITY, total = 0.0f;
  for (int s = lane; s < splits; s += 8) {
    const float2 peak = out.peak[s * count + at];
    const float largest = fmaxf(reference, peak.x);
    total = total * exp2_fast(reference - largest) + peak.y * exp2_fast(peak.x - largest);
    reference = largest;
  }
  float largest = reference;
#pragma unroll
  for (int offset = 4; offset > 0; offset /= 2)
    largest = fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, offset));
  total = group_sum<8>(reference == -INFINITY ? 0.0f : total * exp2_fast(reference - largest));
  if (!real) return;
  const float lse = largest + __log2f(total);
  if (lane == 0) {
    out.loss[at] = (lse - z) / base_2;
    out.lse[at] = lse;
  }
  if (!out.dx) return;
  const float own = capped ? cap_slope(z, in.cap) : 1.0f;
  for (int i = 8 * lane; i < in.width; i += 64) {
    float sum[8] = {}, b[8];
#pragma unroll 4
    for (int s = 0; s < splits; ++s) {
      const int64_t from = s * count + at;
      const float share = exp2_fast(out.peak[from].x - lse);
      float part[8];
      load8(out.sums + from * in.width + i, part);
#pragma unroll
      for (int k = 0; k < 8; ++k) sum[k] += share * part[k];
    }
    load8(target + i, b);
#pragma unroll
    for (int k = 0; k < 8; ++k) sum[k] = out.factor * (sum[k] - own * b[k]);
    store8(out.dx + at * in.width + i, sum);
  }
}

}  // namespace

void join_linear_loss(const LinearLoss& s, const LossParts& in, const LossResult& out,
                      Stream stream) {
  const dim3 grid(blocks_for(s.rows, 32), static_cast<unsigned>(s.members));
  const auto kernel = s.cap > 0.0f ? join_rows<true> : join_rows<false>;
  kernel<<<grid, 256, 0, stream>>>(in, out, s.input_splits);
}

}  // namespace rung::cuda
