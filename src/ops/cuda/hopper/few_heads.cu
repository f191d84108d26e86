// Forward where heads are few (many_heads.h): two blocks share a head's queries, and two warps the
// keys of a tile.
#include "ops/cuda/device.h"
#include "ops/cuda/hopper/few_heads.h"
#include "ops/cuda/hopper/many_heads_mix.cuh"

namespace rung::cuda {
namespace {

// The block's i-th tile: of 0, 3, 4, 7, .. or of 1, 2, 5, 6, .., which see as many keys.
__device__ inline int shared_tile(int i, int half) {
  return 2 * i + (i % 2 ^ half);
}

// Where a block's rows lie in shared memory, addresses: those of its own queries, all keys and
// values, and what a tile's second warp has summed.
struct FewPlaces {
  uint32_t q, k, v, parts;
};
template <int D>
constexpr int few_numbers = D / 2 + 2;  // of a lane in `parts`
template <int D>
int few_bytes(int own_tiles) {
  return own_tiles * (16 * 2 * D * 5 + 32 * few_numbers<D> * 4);
}

// A piece of 16 bytes of a row, turned, to shared memory.
template <int D>
__device__ inline void put_turned(uint32_t to, const Raw<bf16>& raw, const RopePiece& rope,
                                  bool turns, bool second, float factor, bool real) {
  float x[8];
  turn_piece<D>(x, raw, rope, turns, second);
#pragma unroll
  for (int e = 0; e < 8; ++e) x[e] *= factor;
  store_shared(to, packed(x, real));
}

// Keys turned, values as they are, and the block's queries turned, times the logit's factor and
// log2 e.
template <int D>
__device__ inline void load_few(const Small& s, const bf16* from, const FewPlaces& to, int half) {
  constexpr unsigned each = D / 16;  // pieces of keys a thread
  const unsigned width = s.rope.heads * D, last = s.rope.time - 1;
  const bool turns = s.angles.cosine != nullptr;
#pragma unroll
  for (unsigned i = 0; i < each; ++i) {
    const Item<D> at(i);
    const bool real = at.row <= last;
    copy_async<16>(to.v + at.place(), from + (real ? at.element(s.packed_row()) + 2 * width : 0),
                   real);
  }
  commit_copies();
  const Item<D> own(0);  // of 16 rows a tile: of heads of 16, half of the threads have one
  const unsigned query = 16 * shared_tile(static_cast<int>(own.row / 16), half) + own.row % 16;
  const bool asks = own.row < blockDim.x / 4;
  Raw<bf16> q, k[each];
  RopePiece q_rope, k_rope[each];
#pragma unroll
  for (unsigned i = 0; i < each; ++i) {
    const Item<D> at(i);
    const unsigned row = min(at.row, last);
    k[i] = load_raw(from + (row * s.packed_row() + width + 8 * at.piece));
    if (turns) load_rope<D>(k_rope[i], s.angles, row, at.piece);
  }
  if (asks) {
    const unsigned row = min(query, last);
    q = load_raw(from + (row * s.packed_row() + 8 * own.piece));
    if (turns) load_rope<D>(q_rope, s.angles, row, own.piece);
  }
#pragma unroll
  for (unsigned i = 0; i < each; ++i) {
    const Item<D> at(i);
    put_turned<D>(to.k + at.place(), k[i], k_rope[i], turns, at.second(), 1.0f, at.row <= last);
  }
  if (asks)
    put_turned<D>(to.q + own.place(), q, q_rope, turns, own.second(), s.logit, query <= last);
}

// Every other two tiles of keys, from the first or from the second ones on.
template <int D>
__device__ inline void mix_half(Mixed<D>& m, const Quad (&q)[D / 16], const TileLane<D>& at,
                                uint32_t keys, uint32_t values, int tile, int second, int g,
                                int c) {
  constexpr int step = 64 * D;  // bytes of two tiles
  const int last = tile / 2;
#pragma unroll 1
  for (int i = second; i < last; i += 2)
    mix_keys<D, 2, true, false>(m, q, at, keys + i * step, values + i * step, g, c);
  if (last % 2 != second) return;
  keys += last * step, values += last * step;
  if (tile % 2)
    mix_keys<D, 2, true, true>(m, q, at, keys, values, g, c);
  else
    mix_keys<D, 1, true, true>(m, q, at, keys, values, g, c);
}

// The sums of a tile's two warps: the second one's end in the first one's. By both; a lane's
// numbers are 128 bytes apart.
template <int D>
__device__ inline void join_halves(Mixed<D>& m, uint32_t parts, int second, int barrier) {
  if (second) {
#pragma unroll
    for (int n = 0; n < D / 2; ++n) store_number(parts + 128 * n, m.sum[n / 4][n % 4]);
#pragma unroll
    for (int r = 0; r < 2; ++r) store_number(parts + 128 * (D / 2 + r), m.total[2 * r]);
  }
  asm volatile("bar.sync %0, 64;" ::"r"(barrier) : "memory");
  if (second) return;
#pragma unroll
  for (int n = 0; n < D / 2; ++n) m.sum[n / 4][n % 4] += load_number(parts + 128 * n);
#pragma unroll
  for (int r = 0; r < 2; ++r) m.total[2 * r] += load_number(parts + 128 * (D / 2 + r));
}

template <int D>
__global__ void __launch_bounds__(512, 1)
    mix_few_heads(Small s, const bf16* __restrict__ qkv, float value, bf16* __restrict__ out,
                  float* __restrict__ lse) {
  extern __shared__ __align__(16) bf16 shared[];
  const int half = static_cast<int>(blockIdx.x) % 2, own_tiles = static_cast<int>(blockDim.x) / 64;
  const unsigned sequence = blockIdx.y, head = blockIdx.x / 2;
  const uint32_t q = shared_address(shared), k = q + own_tiles * 32 * D, v = k + own_tiles * 64 * D,
                 parts = v + own_tiles * 64 * D;
  load_few<D>(s, qkv + static_cast<int64_t>(sequence) * s.rope.time * s.packed_row() + head * D,
              {q, k, v, parts}, half);
  wait_copies<0>();
  __syncthreads();
  const int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
  // The second warps in reverse, so that schedulers have as much to do as each other.
  const int second = warp >= own_tiles, slot = second ? 2 * own_tiles - 1 - warp : warp;
  const int tile = shared_tile(slot, half);
  if (tile >= static_cast<int>(s.tiles)) return;  // both warps of it
  const TileLane<D> at(lane);
  const int g = lane / 4, c = lane % 4;
  const uint32_t own = q + slot * 32 * D;
  Quad a[D / 16];
  load_across<D>(a, own, at.across);
  Mixed<D> m;
  m.largest[0] = m.largest[1] = 0.0f;
  mix_half<D>(m, a, at, k, v, tile, second, g, c);
  join_halves<D>(m, parts + slot * 128 * few_numbers<D> + 4 * lane, second, 1 + slot);
  if (second) return;
  if (!__all_sync(0xffffffffu, in_plain_range(m.total[0]) && in_plain_range(m.total[2]))) {
    m = Mixed<D>();
    mix_all<D, false>(m, a, at, k, v, tile, g, c);
  }
  bf16* const rows =
      out + static_cast<int64_t>(sequence) * s.rope.time * s.rope.heads * D + head * D;
  // Nobody reads these queries any more.
  finish_mixed<D>(s, m, tile, lane, at.across, own, value, rows,
                  lse + (static_cast<int64_t>(sequence) * s.rope.heads + head) * s.rope.time);
}

}  // namespace

void few_heads_forward(const SmallAttention& shape, const void* qkv, float value, void* out,
                       float* lse, Stream stream) {
  const Small s = small_of(shape, 1.0f);
  const unsigned own_tiles = tile_pairs(s.tiles);
  const dim3 grid(2 * s.rope.heads, static_cast<unsigned>(shape.rope.sequences));
  with_whole_head(shape.rope.head_dim, [&](auto dim) {
    constexpr int D = decltype(dim)::value;
    const int bytes = few_bytes<D>(static_cast<int>(own_tiles));
    allow_shared(mix_few_heads<D>, bytes);
    mix_few_heads<D><<<grid, 64 * own_tiles, bytes, stream>>>(s, static_cast<const bf16*>(qkv),
                                                              value, static_cast<bf16*>(out), lse);
  });
  check_launch();
}

}  // namespace rung::cuda
