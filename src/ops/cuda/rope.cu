// Rotary positions (Su et al. 2021) on packed rows, half-split pairs, keys' slow pairs taken from the
// position before where wanted (ops/attention.h); one thread rotates four pairs
// of one head, or scales eight values.
#include "ops/cuda/common.cuh"

namespace rung::cuda {
namespace {

constexpr int threads = 256;

// Four consecutive elements.
__device__ inline void load4(const float* from, float (&x)[4]) {
  const float4 v = *reinterpret_cast<const float4*>(from);
  x[0] = v.x, x[1] = v.y, x[2] = v.z, x[3] = v.w;
}
__device__ inline void load4(const bf16* from, float (&x)[4]) {
  const uint2 v = *reinterpret_cast<const uint2*>(from);
  x[0] = __uint_as_float(v.x << 16), x[1] = __uint_as_float(v.x & 0xffff0000u);
  x[2] = __uint_as_float(v.y << 16), x[3] = __uint_as_float(v.y & 0xffff0000u);
}
__device__ inline void store4(float* to, const float (&x)[4]) {
  *reinterpret_cast<float4*>(to) = make_float4(x[0], x[1], x[2], x[3]);
}
__device__ inline void store4(bf16* to, const float (&x)[4]) {
  *reinterpret_cast<uint2*>(to) = make_uint2(pack2(x[0], x[1]), pack2(x[2], x[3]));
}

struct Packed {
  unsigned total, slots;  // threads; threads a head
  unsigned time, heads, kv_heads, half, fast;
};

// Tables [time, half]; null: no rotation.
struct Angles {
  const float *cosine, *sine;
  float direction;  // 1, or -1 to turn back
};

// Four pairs of a head turned by the angles of `position`, from pair `at` on.
__device__ inline void turn(float (&a)[4], float (&b)[4], const Angles& angles, unsigned position,
                            unsigned half, unsigned at) {
  if (!angles.cosine) return;
  float c[4], d[4];
  load4(angles.cosine + static_cast<int64_t>(position) * half + at, c);
  load4(angles.sine + static_cast<int64_t>(position) * half + at, d);
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const float first = a[i] * c[i] - angles.direction * b[i] * d[i];
    b[i] = b[i] * c[i] + angles.direction * a[i] * d[i];
    a[i] = first;
  }
}

// Forward: a key's slow pairs are the position before's.
template <class T>
__device__ inline void take_before(const Packed& s, const T* before, unsigned at, float (&a)[4],
                                   float (&b)[4]) {
  float x[4], y[4];
  load4(before + at, x);
  load4(before + s.half + at, y);
#pragma unroll
  for (int i = 0; i < 4; ++i)
    if (at + i >= s.fast) a[i] = x[i], b[i] = y[i];
}

// Backward: the gradient of slow pairs comes from the position after, and for the first position
// from itself as well.
template <class T>
__device__ inline void take_after(const Packed& s, const T* after, const Angles& angles,
                                  unsigned position, unsigned at, float (&a)[4], float (&b)[4]) {
  float x[4] = {}, y[4] = {};
  if (position + 1 < s.time) {
    load4(after + at, x);
    load4(after + s.half + at, y);
    turn(x, y, angles, position + 1, s.half, at);
  }
  const float own = position == 0 ? 1.0f : 0.0f;
#pragma unroll
  for (int i = 0; i < 4; ++i)
    if (at + i >= s.fast) a[i] = x[i] + own * a[i], b[i] = y[i] + own * b[i];
}

// q and k times `qk`, rotated by the angle (direction 1) or back (-1); v times `value`.
template <class T>
__global__ void __launch_bounds__(threads)
    rotate(Packed s, const T* q, const T* k, const T* v, unsigned q_row, unsigned kv_row,
           Angles angles, float qk, float value, T* out) {
  const unsigned index = blockIdx.x * threads + threadIdx.x;
  if (index >= s.total) return;
  const unsigned all = s.heads + 2 * s.kv_heads;
  const unsigned slot = index % s.slots, head = index / s.slots % all;
  const unsigned row = index / s.slots / all, position = row % s.time;
  const T* from;
  if (head < s.heads)
    from = q + static_cast<int64_t>(row) * q_row + head * 2 * s.half;
  else if (head < s.heads + s.kv_heads)
    from = k + static_cast<int64_t>(row) * kv_row + (head - s.heads) * 2 * s.half;
  else
    from = v + static_cast<int64_t>(row) * kv_row + (head - s.heads - s.kv_heads) * 2 * s.half;
  T* to = out + (static_cast<int64_t>(row) * all + head) * 2 * s.half;
  const unsigned at = slot * 4;
  float a[4], b[4];
  load4(from + at, a);
  load4(from + s.half + at, b);
  const bool turned = head < s.heads + s.kv_heads, forward = angles.direction > 0.0f;
  const bool offset = turned && head >= s.heads && at + 4 > s.fast;
  const float factor = turned ? qk : value;
  if (offset && forward && position > 0) take_before(s, from - kv_row, at, a, b);
  if (turned) turn(a, b, angles, position, s.half, at);
  if (offset && !forward) take_after(s, from + kv_row, angles, position, at, a, b);
#pragma unroll
  for (int i = 0; i < 4; ++i) a[i] *= factor, b[i] *= factor;
  store4(to + at, a);
  store4(to + s.half + at, b);
}

Packed packed(const RopeShape& s) {
  const int64_t half = s.head_dim / 2, all = s.heads + 2 * s.kv_heads;
  return {static_cast<unsigned>(s.sequences * s.time * all * (half / 4)),
          static_cast<unsigned>(half / 4),
          static_cast<unsigned>(s.time),
          static_cast<unsigned>(s.heads),
          static_cast<unsigned>(s.kv_heads),
          static_cast<unsigned>(half),
          static_cast<unsigned>(s.fast)};
}

}  // namespace

void rope_forward(Type type, const RopeShape& s, const void* qkv, const float* cosine,
                  const float* sine, float value, void* out, Stream stream) {
  const Packed shape = packed(s);
  const unsigned row = static_cast<unsigned>((s.heads + 2 * s.kv_heads) * s.head_dim);
  with_type(type, [&](auto* tag) {
    using T = std::remove_pointer_t<decltype(tag)>;
    const T* q = static_cast<const T*>(qkv);
    const T* k = q + s.heads * s.head_dim;
    rotate<T><<<blocks_for(shape.total, threads), threads, 0, stream>>>(
        shape, q, k, k + s.kv_heads * s.head_dim, row, row, Angles{cosine, sine, 1.0f}, 1.0f, value,
        static_cast<T*>(out));
  });
  check_launch();
}

void rope_backward(Type type, const RopeShape& s, const void* dq, const void* dk, const void* dv,
                   const float* cosine, const float* sine, float qk, float value, void* dqkv,
                   Stream stream) {
  const Packed shape = packed(s);
  with_type(type, [&](auto* tag) {
    using T = std::remove_pointer_t<decltype(tag)>;
    rotate<T><<<blocks_for(shape.total, threads), threads, 0, stream>>>(
        shape, static_cast<const T*>(dq), static_cast<const T*>(dk), static_cast<const T*>(dv),
        static_cast<unsigned>(s.heads * s.head_dim), static_cast<unsigned>(s.kv_heads * s.head_dim),
        Angles{cosine, sine, -1.0f}, qk, value, static_cast<T*>(dqkv));
  });
  check_launch();
}

}  // namespace rung::cuda
