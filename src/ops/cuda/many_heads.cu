#include "ops/cuda/device.h"
#include "ops/cuda/many_heads.h"
#include "ops/cuda/many_heads_write.cuh"

namespace rung::cuda {
namespace {

// Between these, sums of plain powers of two have lost nothing to overflow or underflow, and leave
// room for values.
constexpr float least_total = 1e-20f, largest_total = 1e30f;

template <int D>
struct Mixed {
  float sum[D / 8][4] = {};
  float total[4] = {};  // of the rounded powers, by a product with ones: all columns are the same
  float largest[2] = {-INFINITY, -INFINITY};
};

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

// Whether pair (row g + 8 (e / 2), column 8 n + 2 c + e % 2) of a tile on the diagonal is hidden.
__device__ inline bool hidden(int n, int e, int g, int c) {
  return 8 * n + 2 * c + e % 2 > g + e / 2 * 8;
}

// A running maximum: s becomes powers relative to it.
template <int D, int n>
__device__ inline void subtract_largest(Mixed<D>& m, float (&s)[n][2][4]) {
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    float largest = m.largest[r];
#pragma unroll
    for (int i = 0; i < n; ++i)
#pragma unroll
      for (int h = 0; h < 2; ++h)
        largest = fmaxf(largest, fmaxf(s[i][h][2 * r], s[i][h][2 * r + 1]));
    largest = fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, 1));
    largest = fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, 2));
    const float shrink = exp2_fast(m.largest[r] - largest);
    m.largest[r] = largest;
    m.total[2 * r] *= shrink, m.total[2 * r + 1] *= shrink;
#pragma unroll
    for (int d = 0; d < D / 8; ++d) m.sum[d][2 * r] *= shrink, m.sum[d][2 * r + 1] *= shrink;
#pragma unroll
    for (int i = 0; i < n; ++i)
#pragma unroll
      for (int h = 0; h < 2; ++h) s[i][h][2 * r] -= largest, s[i][h][2 * r + 1] -= largest;
  }
}

// Takes n tiles of keys into the mixture; where `masked`, the last one is the diagonal.
template <int D, int n, bool plain, bool masked>
__device__ inline void mix(Mixed<D>& m, const Quad (&q)[D / 16], const TileLane<D>& at,
                           uint32_t keys, uint32_t values, int g, int c) {
  constexpr float none[4] = {};
  constexpr uint32_t ones = 0x3f803f80;
  float s[n][2][4];
#pragma unroll
  for (int i = 0; i < n; ++i) {
    Quad b[D / 16];
    load_down<D>(b, keys + i * 32 * D, at.down);
    pairs_product<D>(s[i], q, b, none, none);
  }
  if (masked)
#pragma unroll
    for (int i = 0; i < 8; ++i)
      if (hidden(i / 4, i % 4, g, c)) s[n - 1][i / 4][i % 4] = -INFINITY;
  if (!plain) subtract_largest<D, n>(m, s);
#pragma unroll
  for (int i = 0; i < n; ++i)
#pragma unroll
    for (int e = 0; e < 8; ++e) {
      float& x = s[i][e / 4][e % 4];
      x = exp2_fast(x);
    }
#pragma unroll
  for (int i = 0; i < n; ++i) {
    Quad p, b[D / 16];
    as_a(p, s[i][0], s[i][1]);
    multiply(m.total, p, ones, ones, m.total);
    load_turned<D>(b, values + i * 32 * D, at.across);
    add_pairs<D>(m.sum, p, b);
  }
}

template <int D, bool plain>
__device__ inline void mix_all(Mixed<D>& m, const Quad (&q)[D / 16], const TileLane<D>& at,
                               uint32_t keys, uint32_t values, int tile, int g, int c) {
  constexpr int step = 32 * D;
#pragma unroll 1
  for (int key = 0; key + 2 <= tile; key += 2) {
    mix<D, 2, plain, false>(m, q, at, keys, values, g, c);
    keys += 2 * step, values += 2 * step;
  }
  if (tile % 2)
    mix<D, 2, plain, true>(m, q, at, keys, values, g, c);
  else
    mix<D, 1, plain, true>(m, q, at, keys, values, g, c);
}

__device__ inline bool in_range(float total) {
  return total >= least_total && total <= largest_total;
}

template <int D>
__device__ inline void finish(const Small& s, Mixed<D>& m, int tile, unsigned lane, uint32_t across,
                              uint32_t scratch, float value, bf16* out, float* lse) {
  Quad rows[D / 16];
  float scale[2];
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    const float total = m.total[2 * r];
    scale[r] = __fdividef(value, total);
    const unsigned row = 16 * tile + lane / 4 + 8 * r;
    if (lane % 4 == 0 && row < s.rope.time) lse[row] = m.largest[r] + __log2f(total);
  }
#pragma unroll
  for (int k = 0; k < D / 16; ++k)
#pragma unroll
    for (int i = 0; i < 4; ++i)
      rows[k][i] = pack2(m.sum[2 * k + i / 2][i % 2 * 2] * scale[i % 2],
                         m.sum[2 * k + i / 2][i % 2 * 2 + 1] * scale[i % 2]);
  write_rows<D>(rows, scratch, lane, across, out, s.rope.heads * D, 16 * tile, s.rope.time);
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
    if (!__all_sync(0xffffffffu, in_range(m.total[0]) && in_range(m.total[2]))) {
      m = Mixed<D>();
      mix_all<D, false>(m, a, at, k, v, tile, g, c);
    }
    // Nobody else reads these queries.
    finish<D>(s, m, tile, lane, at.across, own, value, rows,
              lse + static_cast<int64_t>(block) * s.rope.time);
  }
}

}  // namespace

constexpr int64_t most_sequences = 65535;  // a grid's second side

bool takes_many_heads(const SmallAttention& shape) {
  const RopeShape& r = shape.rope;
  return is_hopper() && (r.head_dim == 16 || r.head_dim == 32) && r.fast == r.head_dim / 2 &&
         r.sequences * r.heads > processors() && r.sequences <= most_sequences;
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
