#include "ops/cuda/device.h"
#include "ops/cuda/hopper/few_heads.h"
#include "ops/cuda/hopper/many_heads.h"
#include "ops/cuda/hopper/many_heads_mix.cuh"

namespace rung::cuda {
namespace {

// A head's rows into shared memory: q (times the logit's factor and log2 e) and k turned, v as it
// is.
template <int D>
__device__ inline void load_queries_and_keys(const Small& s, const bf16* from, uint32_t q,
                                             uint32_t k, uint32_t v) {
  constexpr unsigned pieces = D / 8;
  const unsigned width = s.rope.heads * D;
  const bool turns = s.angles.cosine != nullptr;
#pragma unroll
  for (unsigned i = 0; i < pieces; ++i) {
    const Item<D> at(i);
    const bool real = at.row < s.rope.time;
    copy_async<16>(v + at.place(), from + (real ? at.element(s.packed_row()) + 2 * width : 0),
                   real);
  }
  commit_copies();
#pragma unroll
  for (unsigned i = 0; i < pieces; i += 2) {
    Raw<bf16> a[2], b[2];
#pragma unroll
    for (unsigned j = 0; j < 2; ++j) {
      const Item<D> at(i + j);
      const unsigned row = min(at.row, s.rope.time - 1);
      const bf16* const line = from + (row * s.packed_row() + 8 * at.piece);
      a[j] = load_raw(line), b[j] = load_raw(line + width);
    }
#pragma unroll
    for (unsigned j = 0; j < 2; ++j) {
      const Item<D> at(i + j);
      const bool real = at.row < s.rope.time;
      RopePiece rope;
      if (turns) load_rope<D>(rope, s.angles, min(at.row, s.rope.time - 1), at.piece);
      float x[8], y[8];
      turn_piece<D>(x, a[j], rope, turns, at.second());
      turn_piece<D>(y, b[j], rope, turns, at.second());
#pragma unroll
      for (int e = 0; e < 8; ++e) x[e] *= s.logit;
      store_shared(q + at.place(), packed(x, real));
      store_shared(k + at.place(), packed(y, real));
    }
  }
}

template <int D>
__global__ void __launch_bounds__(256, D == 16 ? 4 : 3)
    many_forward(Small s, const bf16* __restrict__ qkv, float value, bf16* __restrict__ out,
                 float* __restrict__ lse) {
  extern __shared__ __align__(16) bf16 shared[];
  const unsigned sequence = blockIdx.y, head = blockIdx.x, block = sequence * gridDim.x + head;
  const unsigned warps = blockDim.x / 32, warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const uint32_t size = 32 * warps * 2 * D, q = shared_address(shared), k = q + size, v = k + size;
  load_queries_and_keys<D>(
      s, qkv + static_cast<int64_t>(sequence) * s.rope.time * s.packed_row() + head * D, q, k, v);
  wait_copies<0>();
  __syncthreads();
  const TileLane<D> at(lane);
  const int g = lane / 4, c = lane % 4, tiles = static_cast<int>(s.tiles);
  bf16* const rows =
      out + static_cast<int64_t>(sequence) * s.rope.time * s.rope.heads * D + head * D;
#pragma unroll 1
  for (int i = warp; i < tiles; i += warps) {
    const int tile = tile_of(i, tiles);
    const uint32_t own = q + tile * 32 * D;
    Quad a[D / 16];
    load_across<D>(a, own, at.across);
    Mixed<D> m;
    m.largest[0] = m.largest[1] = 0.0f;
    mix_all<D, true>(m, a, at, k, v, tile, g, c);
    if (!__all_sync(0xffffffffu, in_plain_range(m.total[0]) && in_plain_range(m.total[2]))) {
      m = Mixed<D>();
      mix_all<D, false>(m, a, at, k, v, tile, g, c);
    }
    // Nobody else reads these queries.
    finish_mixed<D>(s, m, tile, lane, at.across, own, value, rows,
                    lse + static_cast<int64_t>(block) * s.rope.time);
  }
}

}  // namespace

constexpr int64_t most_sequences = 65535;  // a grid's second side

// Heads of 16 or 32, keys not offset, on Hopper.
bool are_plain_heads(const RopeShape& r) {
  return is_hopper() && (r.head_dim == 16 || r.head_dim == 32) && r.fast == r.head_dim / 2 &&
         r.sequences <= most_sequences;
}

bool takes_many_heads(const SmallAttention& shape) {
  const RopeShape& r = shape.rope;
  return are_plain_heads(r) && r.sequences * r.heads > processors();
}
bool takes_few_heads(const SmallAttention& shape) {
  const RopeShape& r = shape.rope;
  return are_plain_heads(r) && 2 * r.sequences * r.heads <= processors();
}

void many_heads_forward(const SmallAttention& shape, const void* qkv, float value, void* out,
                        float* lse, Stream stream) {
  const Small s = small_of(shape, 1.0f);
  const unsigned warps = tile_pairs(s.tiles);
  const dim3 grid(s.rope.heads, static_cast<unsigned>(shape.rope.sequences));
  with_whole_head(shape.rope.head_dim, [&](auto dim) {
    constexpr int D = decltype(dim)::value;
    const int bytes = static_cast<int>(3 * 32 * warps) * D * 2;
    allow_shared(many_forward<D>, bytes);
    many_forward<D><<<grid, 32 * warps, bytes, stream>>>(s, static_cast<const bf16*>(qkv), value,
                                                         static_cast<bf16*>(out), lse);
  });
  check_launch();
}

}  // namespace rung::cuda
