// AdamW over the whole arena in one pass: a warp owns a unit of 128 elements, so that the factors
// of its tensor are one load.
#include "ops/cuda/common.cuh"

namespace rung::cuda {
namespace {

constexpr int threads = 256;

// Order of optim/optimizer.h.
enum { h_lr, h_decay, h_beta1, h_beta2, h_epsilon, h_correction1, h_correction2, h_scale, h_count };

__global__ void __launch_bounds__(threads)
    update(int64_t size, int64_t begin, int64_t end, const float4* slots, const float* hyper,
           const int* alive, const float* gradient, float* weight, float* m, float* v,
           bf16* compute) {
  const int64_t at = begin + (static_cast<int64_t>(blockIdx.x) * threads + threadIdx.x) * 4;
  if (at >= end) return;
  const float* h = hyper + blockIdx.y * h_count;
  const float4 slot = slots[at / 128];  // C, decay, epsilon
  const float lr = h[h_lr] * slot.x, decay = h[h_decay] * slot.y, epsilon = h[h_epsilon] * slot.z;
  const float beta1 = h[h_beta1], beta2 = h[h_beta2], scale = h[h_scale];
  const float c1 = h[h_correction1], c2 = h[h_correction2];
  const int64_t index = blockIdx.y * size + at;
  const float4 g4 = *reinterpret_cast<const float4*>(gradient + index);
  float4 m4 = *reinterpret_cast<float4*>(m + index), v4 = *reinterpret_cast<float4*>(v + index);
  float4 w4 = *reinterpret_cast<float4*>(weight + index);
  if (alive && !alive[blockIdx.y])
    return;  // all loads are on their way before the first is waited for
  const auto one = [&](float g, float& mi, float& vi, float& wi) {
    g *= scale;
    mi = beta1 * mi + (1.0f - beta1) * g;
    vi = beta2 * vi + (1.0f - beta2) * g * g;
    wi -= lr * (mi / c1) / (sqrtf(vi / c2) + epsilon) + decay * wi;
  };
  one(g4.x, m4.x, v4.x, w4.x);
  one(g4.y, m4.y, v4.y, w4.y);
  one(g4.z, m4.z, v4.z, w4.z);
  one(g4.w, m4.w, v4.w, w4.w);
  *reinterpret_cast<float4*>(m + index) = m4;
  *reinterpret_cast<float4*>(v + index) = v4;
  *reinterpret_cast<float4*>(weight + index) = w4;
  if (compute)
    *reinterpret_cast<uint2*>(compute + index) = make_uint2(pack2(w4.x, w4.y), pack2(w4.z, w4.w));
}

__global__ void __launch_bounds__(threads) round_all(int64_t size, const float* from, bf16* to) {
  const int64_t at = (static_cast<int64_t>(blockIdx.x) * threads + threadIdx.x) * 4;
  if (at + 4 <= size) {
    const float4 x = *reinterpret_cast<const float4*>(from + at);
    *reinterpret_cast<uint2*>(to + at) = make_uint2(pack2(x.x, x.y), pack2(x.z, x.w));
  } else {
    for (int64_t i = at; i < size; ++i) to[i] = __float2bfloat16_rn(from[i]);
  }
}

}  // namespace

void adamw(const AdamShape& s, const float* slots, const float* hyper, const int* alive,
           const float* gradient, float* weight, float* m, float* v, void* compute, Stream stream) {
  const dim3 grid(blocks_for(s.end - s.begin, 4 * threads), static_cast<unsigned>(s.members));
  update<<<grid, threads, 0, stream>>>(s.size, s.begin, s.end,
                                       reinterpret_cast<const float4*>(slots), hyper, alive,
                                       gradient, weight, m, v, static_cast<bf16*>(compute));
  check_launch();
}

void round_to_bf16(int64_t size, const float* from, void* to, Stream stream) {
  round_all<<<blocks_for(size, 4 * threads), threads, 0, stream>>>(size, from,
                                                                   static_cast<bf16*>(to));
  check_launch();
}

}  // namespace rung::cuda
