#include "ops/cuda/device.h"
#include "ops/cuda/hopper/many_heads.h"
#include "ops/cuda/hopper/many_heads_gradients.cuh"

namespace rung::cuda {
namespace {

template <int D>
__global__ void __launch_bounds__(256, 2)
    many_backward(Small s, const bf16* __restrict__ qkv, const bf16* __restrict__ out,
                  const float* __restrict__ lse, const bf16* __restrict__ dout, HeadFactors factors,
                  bf16* __restrict__ dqkv) {
  extern __shared__ __align__(16) bf16 shared[];
  const unsigned sequence = blockIdx.y, head = blockIdx.x, block = sequence * gridDim.x + head;
  const unsigned warp = threadIdx.x / 32, lane = threadIdx.x % 32, rows = blockDim.x;
  const uint32_t base = shared_address(shared), size = rows * 2 * D;
  const Places in{base,
                  base + size,
                  base + 2 * size,
                  base + 3 * size,
                  base + 4 * size,
                  base + 4 * size + 16 * rows + warp * 32 * D};
  const unsigned width = s.rope.heads * D;
  const int64_t first = static_cast<int64_t>(sequence) * s.rope.time;
  load_head<D>({s, qkv + first * s.packed_row() + head * D, out + first * width + head * D,
                dout + first * width + head * D, lse + static_cast<int64_t>(block) * s.rope.time,
                factors.over_value},
               in);
  wait_copies<0>();
  __syncthreads();
  const TileLane<D> at(lane);
  const int tile = 2 * warp, tiles = static_cast<int>(s.tiles);
  Writer<D> writer{
      s, in.scratch, lane, at.across, dqkv + first * s.packed_row() + head * D, s.packed_row()};
  {
    QueryGradients<D> of;
    of.sum(in, at, tile, lane);
#pragma unroll
    for (int t = 0; t < 2; ++t) writer.write_turned(of.dq[t], tile + t, factors.q);
  }
  KeyGradients<D> of;
  of.sum(in, at, tile, tiles, lane);
#pragma unroll
  for (int t = 0; t < 2; ++t) {
    writer.to += width;
    writer.write_turned(of.dk[t], tile + t, factors.k);
    writer.to += width;
    writer.write_scaled(of.dv[t], tile + t, factors.v);
    writer.to -= 2 * width;
  }
}

}  // namespace

void many_heads_backward(const SmallAttention& shape, const void* qkv, const void* out,
                         const float* lse, const void* dout, float value, float qk, float gradient,
                         void* dqkv, Stream stream) {
  const Small s = small_of(shape, 1.0f);
  const unsigned warps = tile_pairs(s.tiles), rows = 32 * warps;
  const HeadFactors factors = head_factors(shape.logit, value, qk, gradient);
  const dim3 grid(s.rope.heads, static_cast<unsigned>(shape.rope.sequences));
  with_whole_head(shape.rope.head_dim, [&](auto dim) {
    constexpr int D = decltype(dim)::value;
    const int bytes = static_cast<int>(rows * (4 * 2 * D + 16) + warps * 32 * D);
    allow_shared(many_backward<D>, bytes);
    many_backward<D><<<grid, rows, bytes, stream>>>(
        s, static_cast<const bf16*>(qkv), static_cast<const bf16*>(out), lse,
        static_cast<const bf16*>(dout), factors, static_cast<bf16*>(dqkv));
  });
  check_launch();
}

}  // namespace rung::cuda
