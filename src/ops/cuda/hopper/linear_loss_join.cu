// Joins the splits of the pass over rows.
#include "ops/cuda/hopper/linear_loss.cuh"

namespace rung::cuda {
namespace {

// Splits whose sums are asked for before it is known what they count for: one model's all are.
constexpr int asked = 4;

// A row has so many lanes, each with eight of its columns.
template <bool capped, int lanes>
__global__ void __launch_bounds__(256) join_rows(LossParts in, LossResult out, int splits) {
  const int lane = threadIdx.x % lanes, column = 8 * lane;
  const int64_t row = (static_cast<int64_t>(blockIdx.x) * 256 + threadIdx.x) / lanes;
  const int64_t member = blockIdx.y, count = static_cast<int64_t>(gridDim.y) * in.rows;
  const bool real = row < in.rows, inside = column < in.width;
  const int64_t at = member * in.rows + (real ? row : 0), place = at * in.width + column;
  const bool wanted = out.dx && real && inside;
  float part[asked][8], target[8] = {}, product = 0.0f;
#pragma unroll
  for (int s = 0; s < asked; ++s)
    if (wanted && s < splits) load8(out.sums + s * count * in.width + place, part[s]);
  if (inside) {
    float x[8];
    load8(in.x + place, x);
    load8(in.weight_of(member) + in.targets[at] * in.width + column, target);
#pragma unroll
    for (int k = 0; k < 8; ++k) product += x[k] * target[k];
  }
  product = group_sum<lanes>(product);
  const float z = capped ? capped_logit(product, in.scale, in.cap) : product * in.scale;
  // A lane reads every so many splits.
  float reference = -INFINITY, total = 0.0f;
  for (int s = lane; s < splits; s += lanes) {
    const float2 peak = out.peak[s * count + at];
    const float largest = fmaxf(reference, peak.x);
    total = total * exp2_fast(reference - largest) + peak.y * exp2_fast(peak.x - largest);
    reference = largest;
  }
  float largest = reference;
#pragma unroll
  for (int offset = lanes / 2; offset > 0; offset /= 2)
    largest = fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, offset));
  total = group_sum<lanes>(reference == -INFINITY ? 0.0f : total * exp2_fast(reference - largest));
  const float lse = largest + __log2f(total);
  if (lane == 0 && real) {
    out.loss[at] = (lse - z) / base_2;
    out.lse[at] = lse;
  }
  if (!wanted) return;
  float sum[8] = {};
  const auto add = [&](int s, const float(&own)[8]) {
    const float share = exp2_fast(out.peak[s * count + at].x - lse);
#pragma unroll
    for (int k = 0; k < 8; ++k) sum[k] += share * own[k];
  };
#pragma unroll
  for (int s = 0; s < asked; ++s)
    if (s < splits) add(s, part[s]);
  for (int s = asked; s < splits; ++s) {
    float more[8];
    load8(out.sums + s * count * in.width + place, more);
    add(s, more);
  }
  const float own = capped ? cap_slope(z, in.cap) : 1.0f;
#pragma unroll
  for (int k = 0; k < 8; ++k) sum[k] = out.factor * (sum[k] - own * target[k]);
  store8(out.dx + place, sum);
}

template <int lanes>
void launch_join(const LinearLoss& s, const LossParts& in, const LossResult& out, Stream stream) {
  const dim3 grid(blocks_for(s.rows, 256 / lanes), static_cast<unsigned>(s.members));
  const auto kernel = s.cap > 0.0f ? join_rows<true, lanes> : join_rows<false, lanes>;
  kernel<<<grid, 256, 0, stream>>>(in, out, s.input_splits);
}

}  // namespace

void join_linear_loss(const LinearLoss& s, const LossParts& in, const LossResult& out,
                      Stream stream) {
  static_assert(widest_linear_loss <= 128);
  if (s.width <= 64)
    launch_join<8>(s, in, out, stream);
  else
    launch_join<16>(s, in, out, stream);
}

}  // namespace rung::cuda
