// The gradient of packed rows [q | k | v], queries' and keys' turned back, in FP8 codes: a block
// has 64 rows of the two halves of a head, up to 64 columns of each.
#include "ops/cuda/fp8.cuh"
#include "ops/cuda/fp8_casts.h"
#include "ops/cuda/rope.cuh"

namespace rung::cuda {
namespace {

struct TurnedBack {
  unsigned time, heads, kv_heads, half, slices;  // slices of 64 columns of half a head
  float qk, value;
};

template <class T>
__global__ void __launch_bounds__(fp8_threads)
    cast_turned_back(Fp8Shape s, TurnedBack t, const T* dq, const T* dk, const T* dv, Angles angles,
                     uint8_t* to, uint8_t* transposed) {
  __shared__ uint32_t turned[2][fp8_tile][fp8_line];
  const unsigned head = blockIdx.x / t.slices;
  Fp8Place p;
  p.column0 = blockIdx.x % t.slices * fp8_tile;
  const bool rotates = head < t.heads + t.kv_heads;
  const unsigned heads = head < t.heads ? t.heads : t.kv_heads,
                 within = head < t.heads ? head
                          : rotates      ? head - t.heads
                                         : head - t.heads - t.kv_heads;
  const T* const from = head < t.heads ? dq : rotates ? dk : dv;
  const int64_t codes_at = static_cast<int64_t>(blockIdx.z) * s.rows * s.columns,
                first = static_cast<int64_t>(head) * 2 * t.half;
  const unsigned at = static_cast<unsigned>(p.column0) + p.column;
  // As `inside`, of half a head's columns.
  Fp8Shape half = s;
  half.columns = t.half;
  if (p.inside(half)) {
    uint32_t codes[2][4];
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      const T* const line =
          from + ((blockIdx.z * s.rows + p.row(k)) * heads + within) * 2 * t.half + at;
      float a[4], b[4];
      load4(line, a);
      load4(line + t.half, b);
      if (rotates) turn(a, b, angles, static_cast<unsigned>(p.row(k)) % t.time, t.half, at);
      const float factor = rotates ? t.qk : t.value;
#pragma unroll
      for (int i = 0; i < 4; ++i) a[i] *= factor, b[i] *= factor;
      round_all<T>(a);
      round_all<T>(b);
      codes[0][k] = encode<__NV_E5M2>(a, s.scale);
      codes[1][k] = encode<__NV_E5M2>(b, s.scale);
      uint8_t* const target = to + codes_at + p.row(k) * s.columns + first + at;
      *reinterpret_cast<uint32_t*>(target) = codes[0][k];
      *reinterpret_cast<uint32_t*>(target + t.half) = codes[1][k];
    }
#pragma unroll
    for (int part = 0; part < 2; ++part) turn_codes(codes[part], turned[part], p.column, p.group);
  }
  __syncthreads();
#pragma unroll
  for (int part = 0; part < 2; ++part)
    write_turned(half, p, turned[part], first + part * t.half, transposed + codes_at);
}

}  // namespace

void cast_fp8_rope_gradient(Type type, const Fp8Shape& s, const RopeShape& rope, const void* dq,
                            const void* dk, const void* dv, const float* cosine, const float* sine,
                            float qk, float value, void* dqkv, void* transposed, Stream stream) {
  const unsigned half = static_cast<unsigned>(rope.head_dim / 2);
  const TurnedBack t{.time = static_cast<unsigned>(rope.time),
                     .heads = static_cast<unsigned>(rope.heads),
                     .kv_heads = static_cast<unsigned>(rope.kv_heads),
                     .half = half,
                     .slices = blocks_for(half, fp8_tile),
                     .qk = qk,
                     .value = value};
  const dim3 grid((t.heads + 2 * t.kv_heads) * t.slices, blocks_for(s.rows, fp8_tile),
                  static_cast<unsigned>(s.members));
  with_type(type, [&](auto* tag) {
    using T = std::remove_pointer_t<decltype(tag)>;
    cast_turned_back<T><<<grid, fp8_threads, 0, stream>>>(
        s, t, static_cast<const T*>(dq), static_cast<const T*>(dk), static_cast<const T*>(dv),
        Angles{cosine, sine, -1.0f}, static_cast<uint8_t*>(dqkv),
        static_cast<uint8_t*>(transposed));
  });
  check_launch();
}

}  // namespace rung::cuda
