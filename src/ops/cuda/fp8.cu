// Casts to FP8 for products that run in it (fp8_linear.cpp): row by row, and transposed, since the
// units read both factors along the axis that is summed.
#include <cuda_fp8.h>

#include "ops/cuda/common.cuh"

namespace rung::cuda {
namespace {

constexpr int tile = 64, threads = 256, line = tile + 16;  // lines begin at 16 bytes

// A block casts a tile of a member's matrix.
template <class T>
__global__ void __launch_bounds__(threads) cast_tile(Fp8Shape s, __nv_fp8_interpretation_t kind,
                                                     const T* x, uint8_t* y, uint8_t* transposed) {
  __shared__ alignas(16) uint8_t turned[tile][line];
  const int64_t row0 = static_cast<int64_t>(blockIdx.y) * tile,
                column0 = static_cast<int64_t>(blockIdx.x) * tile;
  const int64_t codes_at = static_cast<int64_t>(blockIdx.z) * s.rows * s.columns;
  x += static_cast<int64_t>(blockIdx.z) * s.stride;
  const int column = static_cast<int>(threadIdx.x) % 16 * 4;
#pragma unroll
  for (int k = 0; k < 4; ++k) {
    const int row = static_cast<int>(threadIdx.x) / 16 + 16 * k;
    if (row0 + row >= s.rows || column0 + column >= s.columns) continue;
    const int64_t at = (row0 + row) * s.columns + column0 + column;
    float v[4];
    load4(x + at, v);
    const uint32_t low = __nv_cvt_float2_to_fp8x2(make_float2(v[0] * s.scale, v[1] * s.scale),
                                                  __NV_SATFINITE, kind),
                   high = __nv_cvt_float2_to_fp8x2(make_float2(v[2] * s.scale, v[3] * s.scale),
                                                   __NV_SATFINITE, kind);
    const uint32_t codes = low | high << 16;
    if (y) *reinterpret_cast<uint32_t*>(y + codes_at + at) = codes;
#pragma unroll
    for (int i = 0; i < 4; ++i) turned[column + i][row] = static_cast<uint8_t>(codes >> 8 * i);
  }
  if (!transposed) return;
  __syncthreads();
  const int own = static_cast<int>(threadIdx.x) / 4, part = static_cast<int>(threadIdx.x) % 4 * 16;
  if (column0 + own >= s.columns || row0 + part >= s.rows) return;
  *reinterpret_cast<uint4*>(transposed + codes_at + (column0 + own) * s.rows + row0 + part) =
      *reinterpret_cast<const uint4*>(&turned[own][part]);
}

}  // namespace

void cast_fp8(Type type, const Fp8Shape& s, const void* x, void* y, void* transposed,
              Stream stream) {
  const dim3 grid(blocks_for(s.columns, tile), blocks_for(s.rows, tile),
                  static_cast<unsigned>(s.members));
  with_type(type, [&](auto* null) {
    using T = std::remove_pointer_t<decltype(null)>;
    cast_tile<<<grid, threads, 0, stream>>>(s, s.e5m2 ? __NV_E5M2 : __NV_E4M3,
                                            static_cast<const T*>(x), static_cast<uint8_t*>(y),
                                            static_cast<uint8_t*>(transposed));
  });
  check_launch();
}

}  // namespace rung::cuda
