// What kernels of narrow matrices share: a member's matrices and tiles of its rows lie in shared
// memory, rows padded.
#pragma once
#include "ops/cuda/async.cuh"
#include "ops/cuda/curve.cuh"
#include "ops/cuda/device.h"
#include "ops/cuda/mma.cuh"

namespace rung::cuda {

// Eight elements between rows keep ldmatrix free of bank conflicts.
template <int D>
constexpr int line = D + 8;

// The first matrix [parts, padded, D]: hidden units beyond the last are zeros.
template <int D>
__device__ void load_first(bf16* to, const bf16* from, int parts, int inner, int padded) {
  constexpr int vectors = D / 8;
  for (int i = threadIdx.x; i < parts * padded * vectors; i += blockDim.x) {
    const int row = i / vectors, at = i % vectors * 8, part = row >= padded ? 1 : 0;
    const int unit = row - part * padded;
    const bool real = unit < inner;
    copy16(to + row * line<D> + at, from + (part * inner + (real ? unit : 0)) * D + at, real);
  }
}

// The second matrix [D, padded + 8].
template <int D>
__device__ void load_second(bf16* to, const bf16* from, int inner, int padded) {
  const int vectors = padded / 8;
  for (int i = threadIdx.x; i < D * vectors; i += blockDim.x) {
    const int row = i / vectors, at = i % vectors * 8;
    const bool real = at < inner;
    copy16(to + row * (padded + 8) + at, from + row * inner + (real ? at : 0), real);
  }
}

// `count` rows from row `begin` on by `threads` threads; zeros from row `end` on.
template <int D>
__device__ void load_rows(bf16* to, const bf16* from, int begin, int end, int count, int thread,
                          int threads) {
  constexpr int vectors = D / 8;
  for (int i = thread; i < count * vectors; i += threads) {
    const int row = i / vectors, at = i % vectors * 8;
    const bool real = begin + row < end;
    copy16(to + row * line<D> + at, from + static_cast<int64_t>(real ? begin + row : 0) * D + at,
           real);
  }
}

__device__ inline float2 unpack2(uint32_t pair) {
  return make_float2(__uint_as_float(pair << 16), __uint_as_float(pair & 0xffff0000u));
}

// Rows that are there, by a warp.
template <int D>
__device__ void write_rows(const bf16* from, bf16* to, int begin, int end, int count, int lane) {
  constexpr int vectors = D / 8;
#pragma unroll 4
  for (int i = lane; i < count * vectors; i += 32) {
    const int row = i / vectors, at = i % vectors * 8;
    if (begin + row < end)
      *reinterpret_cast<uint4*>(to + static_cast<int64_t>(begin + row) * D + at) =
          *reinterpret_cast<const uint4*>(from + row * line<D> + at);
  }
}

// How rows become h = skip x + branch f (f null: x) and are normalised.
struct StreamInput {
  const bf16* f;
  float skip, branch, epsilon;
};

// A warp's 16 rows as the A of a product; with a block they become h in `x`, and then its RMSNorm.
template <int D, bool block>
__device__ void read_rows(Quad (&a)[D / 16], const StreamInput& s, bf16* x, const bf16* f,
                          int lane) {
  const Tile<line<D>> rows{x, lane};
#pragma unroll
  for (int k = 0; k < D / 16; ++k) rows.as_a(a[k], 0, k);
  if constexpr (!block) return;
  const auto place = [lane](int k, int i) {  // of the i-th pair in shared memory
    return (lane / 4 + i % 2 * 8) * line<D> + 16 * k + lane % 4 * 2 + i / 2 * 8;
  };
  float squares[2] = {};
#pragma unroll
  for (int k = 0; k < D / 16; ++k)
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      float2 h = unpack2(a[k][i]);
      if (s.f) {
        const float2 other = unpack2(*reinterpret_cast<const uint32_t*>(f + place(k, i)));
        a[k][i] = pack2(s.skip * h.x + s.branch * other.x, s.skip * h.y + s.branch * other.y);
        h = unpack2(a[k][i]);
      }
      squares[i % 2] += h.x * h.x + h.y * h.y;
    }
  __syncwarp();  // x has been read
  const float scale[2] = {rsqrtf(group_sum<4>(squares[0]) / D + s.epsilon),
                          rsqrtf(group_sum<4>(squares[1]) / D + s.epsilon)};
#pragma unroll
  for (int k = 0; k < D / 16; ++k)
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      if (s.f) *reinterpret_cast<uint32_t*>(x + place(k, i)) = a[k][i];
      const float2 h = unpack2(a[k][i]);
      a[k][i] = pack2(h.x * scale[i % 2], h.y * scale[i % 2]);
    }
}

// Calls f with the width as a constant.
template <class F>
void with_width(int64_t width, F&& f) {
  if (width == 32)
    f(std::integral_constant<int, 32>());
  else
    f(std::integral_constant<int, 64>());
}

template <class Kernel>
void allow_shared(Kernel kernel, int bytes) {
  if (bytes > 48 * 1024)
    cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes);
}

}  // namespace rung::cuda
