// Rotary positions (Su et al. 2021) on packed rows, half-split pairs, keys' slow pairs taken from
// the position before where wanted (ops/attention.h): four pairs of one head at a time.
#pragma once
#include "ops/cuda/common.cuh"

namespace rung::cuda {

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

}  // namespace rung::cuda
