// AdamW over the whole arena in one pass: a warp owns a unit of 128 elements, so that the factors
// of its tensor are one load.
#include "ops/cuda/common.cuh"
#include "ops/cuda/fp8.cuh"
#include "ops/cuda/gradients.cuh"

namespace rung::cuda {
namespace {

constexpr int threads = 256;

// Order of optim/optimizer.h.
enum { h_lr, h_decay, h_beta1, h_beta2, h_epsilon, h_correction1, h_correction2, h_scale, h_count };

// Four elements of a thread, as floats, from what they are kept in and back: in bytes these are
// most of what the step moves. A warp's lie in one block of scales.
template <MomentKind kind>
struct Kept {
  SmallMoments to;
  int64_t index;  // in the arena
  __device__ void load(float (&m)[4], float (&v)[4]) const {
    if constexpr (kind == MomentKind::wide) {
      load4(static_cast<const float*>(to.m) + index, m);
      load4(static_cast<const float*>(to.v) + index, v);
      return;
    }
    load4(static_cast<const bf16*>(to.v) + index, v);
    if constexpr (kind == MomentKind::bf16) load4(static_cast<const bf16*>(to.m) + index, m);
    if constexpr (kind == MomentKind::fp8) {
      const uint32_t codes =
          *reinterpret_cast<const uint32_t*>(static_cast<const uint8_t*>(to.m) + index);
      const float scale = to.scale[index / moment_block];
#pragma unroll
      for (int i = 0; i < 4; ++i) m[i] = from_e4m3(static_cast<uint8_t>(codes >> 8 * i)) * scale;
    }
  }
  // `at`: within the member, which names the draws.
  __device__ void store(const float (&m)[4], const float (&v)[4], const uint64_t* key,
                        int64_t at) const {
    if constexpr (kind == MomentKind::wide) {
      store4(static_cast<float*>(to.m) + index, m);
      store4(static_cast<float*>(to.v) + index, v);
      return;
    }
    uint64_t draws[4] = {};
    if (key) {
#pragma unroll
      for (int i = 0; i < 4; ++i) draws[i] = two_draws(*key, static_cast<uint64_t>(at + i));
    }
    store_half(to.v, v, key != nullptr, draws, 0);
    if constexpr (kind == MomentKind::bf16) store_half(to.m, m, key != nullptr, draws, 32);
    if constexpr (kind == MomentKind::fp8) store_codes(m, key != nullptr, draws);
  }

 private:
  __device__ void store_half(void* moment, const float (&x)[4], bool drawn,
                             const uint64_t (&draws)[4], int shift) const {
    uint32_t code[4];
#pragma unroll
    for (int i = 0; i < 4; ++i)
      code[i] = to_bf16(x[i], drawn, static_cast<uint32_t>(draws[i] >> shift));
    *reinterpret_cast<uint2*>(static_cast<bf16*>(moment) + index) =
        make_uint2(code[0] | code[1] << 16, code[2] | code[3] << 16);
  }
  __device__ void store_codes(const float (&x)[4], bool drawn, const uint64_t (&draws)[4]) const {
    float most = fmaxf(fmaxf(fabsf(x[0]), fabsf(x[1])), fmaxf(fabsf(x[2]), fabsf(x[3])));
#pragma unroll
    for (int offset = 16; offset > 0; offset /= 2)
      most = fmaxf(most, __shfl_xor_sync(0xffffffffu, most, offset));
    const float scale = scale_for(most, moment_grid(drawn));
    uint32_t codes = 0;
#pragma unroll
    for (int i = 0; i < 4; ++i)
      codes |=
          static_cast<uint32_t>(to_e4m3(x[i] * scale, drawn, static_cast<uint32_t>(draws[i] >> 32)))
          << 8 * i;
    *reinterpret_cast<uint32_t*>(static_cast<uint8_t*>(to.m) + index) = codes;
    if (threadIdx.x % 32 == 0) to.scale[index / moment_block] = 1.0f / scale;
  }
};

// A thread's four elements at a place of the arena.
template <MomentKind kind>
struct Elements {
  int64_t at, index;  // in the member and in the arena
  float g[4], m[4], v[4], w[4];
  float4 slot;  // C, decay, epsilon, scale of codes
  __device__ void load(const float4* slots, const SmallMoments& moments, const float* weight) {
    slot = slots[at / 128];
    Kept<kind>{moments, index}.load(m, v);
    load4(weight + index, w);
  }
  // h: the member's hyperparameters.
  __device__ void move(const float (&h)[h_count]) {
    const float lr = h[h_lr] * slot.x, decay = h[h_decay] * slot.y, epsilon = h[h_epsilon] * slot.z;
    const float beta1 = h[h_beta1], beta2 = h[h_beta2], scale = h[h_scale];
    const float c1 = h[h_correction1], c2 = h[h_correction2];
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      g[i] *= scale;
      m[i] = beta1 * m[i] + (1.0f - beta1) * g[i];
      v[i] = beta2 * v[i] + (1.0f - beta2) * g[i] * g[i];
      w[i] -= lr * (m[i] / c1) / (sqrtf(v[i] / c2) + epsilon) + decay * w[i];
    }
  }
  __device__ void store(const SmallMoments& moments, const uint64_t* key, float* weight,
                        const ComputeCopy& compute) {
    Kept<kind>{moments, index}.store(m, v, key, at);
    store4(weight + index, w);
    if (compute.codes && slot.w != 0.0f) {
      round_all<bf16>(w);
      *reinterpret_cast<uint32_t*>(compute.codes + index) = encode<__NV_E4M3>(w, slot.w);
    } else if (compute.half) {
      store4(static_cast<bf16*>(compute.half) + index, w);
    }
  }
};

// Where gradients lie in two buffers, a thread has two fours: it waits for their places first.
template <bool split>
constexpr int fours = split ? 2 : 1;

template <MomentKind kind, bool split>
__global__ void __launch_bounds__(threads)
    update(AdamShape s, const float4* slots, const float* hyper, const int* alive,
           ArenaGradients gradient, float* weight, SmallMoments moments, const uint64_t* keys,
           ComputeCopy compute) {
  constexpr int count = fours<split>;
  const int64_t first =
      s.begin + (static_cast<int64_t>(blockIdx.x) * count * threads + threadIdx.x) * 4;
  float h[h_count];
#pragma unroll
  for (int i = 0; i < h_count; ++i) h[i] = hyper[blockIdx.y * h_count + i];
  Elements<kind> own[count];
  int place[count] = {};
  FourGradients raw[count];
#pragma unroll
  for (int k = 0; k < count; ++k) {
    own[k].at = first + k * threads * 4;
    own[k].index = blockIdx.y * s.size + own[k].at;
    if constexpr (split)
      if (own[k].at < s.end) place[k] = gradient.places[own[k].at / 128];
  }
#pragma unroll
  for (int k = 0; k < count; ++k) {
    if (own[k].at >= s.end) continue;  // whole warps
    if constexpr (!split)
      load4(gradient.wide + blockIdx.y * gradient.wide_stride + own[k].at, own[k].g);
    own[k].load(slots, moments, weight);
  }
#pragma unroll
  for (int k = 0; k < count; ++k)
    if constexpr (split)
      if (own[k].at < s.end) raw[k] = read_gradient(gradient, blockIdx.y, own[k].at, place[k]);
  if (alive && !alive[blockIdx.y])
    return;  // all loads are on their way before the first is waited for
#pragma unroll
  for (int k = 0; k < count; ++k) {
    if (own[k].at >= s.end) continue;
    if constexpr (split) unpack(raw[k], own[k].g);
    own[k].move(h);
    own[k].store(moments, keys ? keys + blockIdx.y : nullptr, weight, compute);
  }
}

template <bool split>
auto update_for(MomentKind kind) {
  return kind == MomentKind::wide   ? update<MomentKind::wide, split>
         : kind == MomentKind::bf16 ? update<MomentKind::bf16, split>
                                    : update<MomentKind::fp8, split>;
}

__global__ void __launch_bounds__(threads)
    round_weights(int64_t size, const float* from, bf16* to) {
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
           const ArenaGradients& gradient, float* weight, const SmallMoments& moments,
           const uint64_t* keys, const ComputeCopy& compute, Stream stream) {
  const int each = 4 * threads * (gradient.places ? fours<true> : fours<false>);
  const dim3 grid(blocks_for(s.end - s.begin, each), static_cast<unsigned>(s.members));
  const auto kernel =
      gradient.places ? update_for<true>(moments.kind) : update_for<false>(moments.kind);
  kernel<<<grid, threads, 0, stream>>>(s, reinterpret_cast<const float4*>(slots), hyper, alive,
                                       gradient, weight, moments, keys, compute);
  check_launch();
}

void round_to_bf16(int64_t size, const float* from, void* to, Stream stream) {
  round_weights<<<blocks_for(size, 4 * threads), threads, 0, stream>>>(size, from,
                                                                       static_cast<bf16*>(to));
  check_launch();
}

}  // namespace rung::cuda
