// Rotation of packed rows on its own: one thread rotates four pairs of one head, or scales eight
// values.
#include "ops/cuda/rope.cuh"

namespace rung::cuda {
namespace {

constexpr int threads = 256;

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
  const bool turned = head<s.heads + s.kv_heads, forward = angles.direction> 0.0f;
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

template <class T>
__global__ void __launch_bounds__(threads) rotate_in_place(Packed s, Angles angles, T* qkv) {
  const unsigned index = blockIdx.x * threads + threadIdx.x;
  const unsigned turned = s.heads + s.kv_heads;
  const unsigned at = index % s.slots * 4, head = index / s.slots % turned;
  const unsigned row = index / s.slots / turned;
  if (index >= s.total) return;
  T* const line =
      qkv + (static_cast<int64_t>(row) * (turned + s.kv_heads) + head) * 2 * s.half + at;
  float a[4], b[4];
  load4(line, a);
  load4(line + s.half, b);
  turn(a, b, angles, row % s.time, s.half, at);
  store4(line, a);
  store4(line + s.half, b);
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

void rope_in_place(Type type, const RopeShape& s, void* qkv, const float* cosine, const float* sine,
                   Stream stream) {
  Packed shape = packed(s);
  shape.total = shape.total / (shape.heads + 2 * shape.kv_heads) * (shape.heads + shape.kv_heads);
  with_type(type, [&](auto* tag) {
    using T = std::remove_pointer_t<decltype(tag)>;
    rotate_in_place<T><<<blocks_for(shape.total, threads), threads, 0, stream>>>(
        shape, Angles{cosine, sine, 1.0f}, static_cast<T*>(qkv));
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
