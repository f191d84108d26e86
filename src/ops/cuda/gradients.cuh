// Reading gradients that lie in one buffer or in two.
#pragma once
#include "ops/cuda/common.cuh"

namespace rung::cuda {

// Four elements as they lie: in fp32 (16 bytes), or in bf16 in `low` alone.
struct FourGradients {
  uint2 low, high;
  bool wide;
};

// A member's four from `at` on, within a unit of 128 that lies at `place`. Without a branch: a
// thread's reads go out together, and wait for no other's.
__device__ inline FourGradients read_gradient(const ArenaGradients& g, int64_t member, int64_t at,
                                              int place) {
  FourGradients r;
  r.wide = place >= 0;
  const int64_t unit = r.wide ? place : -1 - place, within = unit * 128 + at % 128;
  const char* const from =
      r.wide ? reinterpret_cast<const char*>(g.wide + member * g.wide_stride + within)
             : reinterpret_cast<const char*>(static_cast<const bf16*>(g.half) +
                                             member * g.half_stride + within);
  r.low = *reinterpret_cast<const uint2*>(from);
  r.high = r.wide ? *reinterpret_cast<const uint2*>(from + 8) : make_uint2(0u, 0u);
  return r;
}

__device__ inline void unpack(const FourGradients& r, float (&v)[4]) {
  v[0] = __uint_as_float(r.wide ? r.low.x : r.low.x << 16);
  v[1] = __uint_as_float(r.wide ? r.low.y : r.low.x & 0xffff0000u);
  v[2] = __uint_as_float(r.wide ? r.high.x : r.low.y << 16);
  v[3] = __uint_as_float(r.wide ? r.high.y : r.low.y & 0xffff0000u);
}

}  // namespace rung::cuda
