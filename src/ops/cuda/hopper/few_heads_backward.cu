// Backward where heads are few (few_heads.h): one block of a head has the queries' gradients, the
// other the keys' and values'; two warps share a pair of tiles.
#include "ops/cuda/device.h"
#include "ops/cuda/hopper/few_heads.h"
#include "ops/cuda/hopper/many_heads_gradients.cuh"

namespace rung::cuda {
namespace {

// Bytes in which a warp hands over what it has summed for a tile: of queries, or of keys and
// values.
template <int D>
constexpr int handed_bytes = 128 * D;

// Two warps have summed a share of two tiles' gradients each; the first ends up with all of the
// first tile's, the second with the second's. A lane's numbers are 128 bytes apart.
template <int D>
__device__ inline void hand_over(const float (&sums)[2][D / 8][4], uint32_t to, bool second) {
#pragma unroll
  for (int n = 0; n < D / 2; ++n)
    store_number(to + 128 * n, second ? sums[0][n / 4][n % 4] : sums[1][n / 4][n % 4]);
}
template <int D>
__device__ inline void take_over(float (&own)[D / 8][4], const float (&sums)[2][D / 8][4],
                                 uint32_t from, bool second) {
#pragma unroll
  for (int n = 0; n < D / 2; ++n)
    own[n / 4][n % 4] =
        (second ? sums[1][n / 4][n % 4] : sums[0][n / 4][n % 4]) + load_number(from + 128 * n);
}
__device__ inline void meet_other(int barrier) {
  asm volatile("bar.sync %0, 64;" ::"r"(barrier) : "memory");
}

// A warp among those of its block: which two tiles it has a share of, and where its hand-overs lie.
struct Sharing {
  int tile, barrier;
  bool second;
  uint32_t own, other;
};

template <int D>
__device__ inline void queries_of(const Places& in, const TileLane<D>& at, Writer<D>& writer,
                                  const Sharing& share, float factor, unsigned lane) {
  QueryGradients<D> of;
  of.sum_half(in, at, share.tile, lane, share.second);
  hand_over<D>(of.dq, share.own + 4 * lane, share.second);
  meet_other(share.barrier);
  float sum[D / 8][4];
  take_over<D>(sum, of.dq, share.other + 4 * lane, share.second);
  writer.write_turned(sum, share.tile + share.second, factor);
}

template <int D>
__device__ inline void keys_of(const Places& in, const TileLane<D>& at, Writer<D>& writer,
                               const Sharing& share, const HeadFactors& factors, int tiles,
                               unsigned width, unsigned lane) {
  KeyGradients<D> of;
  of.sum_half(in, at, share.tile, tiles, lane, share.second);
  constexpr int values = 64 * D;  // bytes of the keys before them
  hand_over<D>(of.dk, share.own + 4 * lane, share.second);
  hand_over<D>(of.dv, share.own + values + 4 * lane, share.second);
  meet_other(share.barrier);
  float dk[D / 8][4], dv[D / 8][4];
  take_over<D>(dk, of.dk, share.other + 4 * lane, share.second);
  take_over<D>(dv, of.dv, share.other + values + 4 * lane, share.second);
  writer.to += width;
  writer.write_turned(dk, share.tile + share.second, factors.k);
  writer.to += width;
  writer.write_scaled(dv, share.tile + share.second, factors.v);
}

template <int D>
__global__ void __launch_bounds__(512, 1)
    few_heads_gradients(Small s, const bf16* __restrict__ qkv, const bf16* __restrict__ out,
                        const float* __restrict__ lse, const bf16* __restrict__ dout,
                        HeadFactors factors, bf16* __restrict__ dqkv) {
  extern __shared__ __align__(16) bf16 shared[];
  const unsigned sequence = blockIdx.y, head = blockIdx.x / 2, rows = blockDim.x / 2;
  const unsigned lane = threadIdx.x % 32;
  const uint32_t base = shared_address(shared), size = rows * 2 * D,
                 handed = base + 4 * size + 16 * rows;
  const int warp = static_cast<int>(threadIdx.x) / 32, pairs = static_cast<int>(rows) / 32;
  // The second warps in reverse, so that schedulers have as much to do as each other.
  const int other = 2 * pairs - 1 - warp, pair = min(warp, other);
  const Sharing share{2 * pair, 1 + pair, warp >= pairs, handed + warp * handed_bytes<D>,
                      handed + other * handed_bytes<D>};
  const Places in{base,       base + size, base + 2 * size, base + 3 * size, base + 4 * size,
                  share.other};
  const unsigned width = s.rope.heads * D;
  const int64_t first = static_cast<int64_t>(sequence) * s.rope.time;
  load_head<D, D / 16>({s, qkv + first * s.packed_row() + head * D, out + first * width + head * D,
                        dout + first * width + head * D,
                        lse + (static_cast<int64_t>(sequence) * s.rope.heads + head) * s.rope.time,
                        factors.over_value},
                       in);
  wait_copies<0>();
  __syncthreads();
  const TileLane<D> at(lane);
  Writer<D> writer{
      s, in.scratch, lane, at.across, dqkv + first * s.packed_row() + head * D, s.packed_row()};
  if (blockIdx.x % 2 == 0)
    queries_of<D>(in, at, writer, share, factors.q, lane);
  else
    keys_of<D>(in, at, writer, share, factors, static_cast<int>(s.tiles), width, lane);
}

}  // namespace

void few_heads_backward(const SmallAttention& shape, const void* qkv, const void* out,
                        const float* lse, const void* dout, float value, float qk, float gradient,
                        void* dqkv, Stream stream) {
  const Small s = small_of(shape, 1.0f);
  const unsigned pairs = tile_pairs(s.tiles), rows = 32 * pairs;
  const HeadFactors factors = head_factors(shape.logit, value, qk, gradient);
  const dim3 grid(2 * s.rope.heads, static_cast<unsigned>(shape.rope.sequences));
  with_whole_head(shape.rope.head_dim, [&](auto dim) {
    constexpr int D = decltype(dim)::value;
    const int bytes = static_cast<int>(rows * (4 * 2 * D + 16) + 2 * pairs * handed_bytes<D>);
    allow_shared(few_heads_gradients<D>, bytes);
    few_heads_gradients<D><<<grid, 2 * rows, bytes, stream>>>(
        s, static_cast<const bf16*>(qkv), static_cast<const bf16*>(out), lse,
        static_cast<const bf16*>(dout), factors, static_cast<bf16*>(dqkv));
  });
  check_launch();
}

}  // namespace rung::cuda
