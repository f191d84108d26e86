// A block a head, two blocks a multiprocessor. All rows of a head come by the bulk tensor copy in
// tiles of 64, and each of two warpgroups takes an early tile of queries and a late one (with four:
// the first and the last, the second and the third), so that both do the same work and one
// computes exponentials while another multiplies. A warpgroup turns the rows of its tiles itself
// and tells the other one when keys are done.
#include "ops/cuda/device.h"
#include "ops/cuda/many_heads.cuh"
#include "ops/cuda/wide_heads.cuh"
#include "ops/cuda/wide_heads.h"

namespace rung::cuda {
namespace {

constexpr int wide_forward_threads = 256, most_wide_tiles = 4;

struct WideForward {
  CUtensorMap qkv, turned, out;
  Angles angles;
  float logit, value;  // logit: times log2(e)
  float* lse;
  int time, heads, tiles;
  bool keeps;
};

// Where a block's rows lie in shared memory, and its barriers: a tile's queries and keys have come;
// its values have; its keys are turned.
struct WideRows {
  uint32_t q, barriers;
  int tiles;
  __device__ uint32_t k() const { return q + tiles * wide_tile; }
  __device__ uint32_t v() const { return k() + tiles * wide_tile; }
  __device__ uint32_t come(int tile) const { return barriers + 24 * tile; }
  __device__ uint32_t values(int tile) const { return come(tile) + 8; }
  __device__ uint32_t turned(int tile) const { return come(tile) + 16; }
};

// By one thread.
__device__ inline void copy_wide_head(const WideForward& s, const WideRows& rows, int head,
                                      int sequence) {
  for (int i = 0; i < s.tiles; ++i) {
    announce(rows.come(i), 2 * wide_tile);
    const uint32_t at = i * wide_tile;
    copy_box(rows.q + at, s.qkv, rows.come(i), 0, 64 * i, head, sequence);
    copy_box(rows.k() + at, s.qkv, rows.come(i), 0, 64 * i, s.heads + head, sequence);
    announce(rows.values(i), wide_tile);
    copy_box(rows.v() + at, s.qkv, rows.values(i), 0, 64 * i, 2 * s.heads + head, sequence);
  }
}

// Sixteen queries' softmax so far; a lane holds parts of rows g and g + 8 (mma.cuh). Powers are
// relative to a row's reference: the largest score of the tiles until it last moved.
struct WideMixture {
  float sum[8][4] = {};
  float reference[2] = {-INFINITY, -INFINITY}, total[2] = {};
};

// Sums of powers up to this have lost nothing and leave room for values; before they get larger,
// references move.
constexpr float largest_wide_total = 1e30f;

__device__ inline void move_references(WideMixture& m, const float (&s)[8][4], float logit) {
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    float next = m.reference[r];
#pragma unroll
    for (int n = 0; n < 8; ++n) next = fmaxf(next, fmaxf(s[n][2 * r], s[n][2 * r + 1]));
    next = fmaxf(next, __shfl_xor_sync(0xffffffffu, next, 1));
    next = fmaxf(next, __shfl_xor_sync(0xffffffffu, next, 2));
    const float shrink = exp2_fast((m.reference[r] - next) * logit);
    m.reference[r] = next;
    m.total[r] *= shrink;
#pragma unroll
    for (int n = 0; n < 8; ++n) m.sum[n][2 * r] *= shrink, m.sum[n][2 * r + 1] *= shrink;
  }
}

// The powers of scores as what the product with the values takes, p, and their sums; of 64 columns
// the warp sees the first 16 `seen`.
__device__ inline void add_powers(WideMixture& m, const float (&s)[8][4], Quad (&p)[4], float logit,
                                  int seen) {
  const float shift[2] = {m.reference[0] * logit, m.reference[1] * logit};
#pragma unroll
  for (int k = 0; k < 4; ++k) {
    if (k < seen) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const float(&from)[4] = s[2 * k + i / 2];
        const int r = i % 2;
        const float low = exp2_fast(fmaf(from[2 * r], logit, -shift[r])),
                    high = exp2_fast(fmaf(from[2 * r + 1], logit, -shift[r]));
        m.total[r] += low;
        m.total[r] += high;
        p[k][i] = pack2(low, high);
      }
    } else {
#pragma unroll
      for (int i = 0; i < 4; ++i) p[k][i] = 0;
    }
  }
}

__device__ inline void take_powers(WideMixture& m, const float (&s)[8][4], Quad (&p)[4],
                                   float logit, bool first, int seen) {
  if (first) move_references(m, s, logit);
  const float before[2] = {m.total[0], m.total[1]};
  add_powers(m, s, p, logit, seen);
  const bool large = !(fmaxf(m.total[0], m.total[1]) <= largest_wide_total);
  if (!__any_sync(0xffffffffu, large)) return;
  m.total[0] = before[0], m.total[1] = before[1];
  move_references(m, s, logit);
  add_powers(m, s, p, logit, seen);
}

// A tile's queries with a tile's keys; the products with the values before them (p, m.sum) may
// still run when it begins.
__device__ inline void wide_scores(float (&s)[8][4], WideMixture& m, Quad (&p)[4], uint64_t queries,
                                   uint64_t keys) {
  pin(s);
  wgmma_fence();
  multiply<0>(s, queries, keys);
#pragma unroll
  for (int k = 1; k < 4; ++k) multiply_add<0>(s, moved(queries, 32 * k), moved(keys, 32 * k));
  wgmma_commit();
  wgmma_wait<0>();
  pin(s);
  pin(m.sum);
  pin(p);
}

__device__ inline void start_mixing(WideMixture& m, Quad (&p)[4], uint64_t values) {
  pin(m.sum);
  pin(p);
  wgmma_fence();
#pragma unroll
  for (int k = 0; k < 4; ++k) multiply_add<1>(m.sum, p[k], moved(values, 2048 * k));
  wgmma_commit();
}

// Of a tile on the diagonal a warp sees the columns up to its own 16 rows.
__device__ inline void hide_later(float (&s)[8][4], int warp, int lane) {
  const int g = lane / 4, c = lane % 4;
#pragma unroll
  for (int n = 0; n < 8; ++n)
#pragma unroll
    for (int e = 0; e < 4; ++e)
      if (n / 2 > warp || (n / 2 == warp && n % 2 * 8 + 2 * c + e % 2 > g + e / 2 * 8))
        s[n][e] = -INFINITY;
}

// A tile of queries over all keys up to its own.
__device__ inline void mix_wide_tile(const WideRows& rows, WideMixture& m, int tile, float logit,
                                     int warp, int lane) {
  Quad p[4] = {};
  float s[8][4] = {};
  const uint64_t queries = describe(rows.q + tile * wide_tile, 0);
  wait_barrier(rows.turned(tile), 0);
#pragma unroll 1
  for (int j = 0; j <= tile; ++j) {
    wait_barrier(rows.turned(j), 0);
    wide_scores(s, m, p, queries, describe(rows.k() + j * wide_tile, 0));
    const bool last = j == tile;
    if (last) hide_later(s, warp, lane);
    take_powers(m, s, p, logit, j == 0, last ? warp + 1 : 4);
    wait_barrier(rows.values(j), 0);
    start_mixing(m, p, describe(rows.v() + j * wide_tile, 0));
  }
  wgmma_wait<0>();
  pin(m.sum);
  pin(p);
}

__device__ inline void synchronise_group(int group) {
  if (group == 0)
    asm volatile("bar.sync 1, 128;" ::: "memory");
  else
    asm volatile("bar.sync 2, 128;" ::: "memory");
}

// A warp's rows, divided by their totals, to `scratch` and from there to global memory.
__device__ inline void write_wide_rows(const WideForward& s, WideMixture& m, uint32_t scratch,
                                       int first, int head, int sequence, int lane) {
  const TileLane<64> at(lane);
  float scale[2];
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    const float total = group_sum<4>(m.total[r]);
    scale[r] = __fdividef(s.value, total);
    const int row = first + lane / 4 + 8 * r;
    if (lane % 4 == 0 && row < s.time)
      s.lse[(static_cast<int64_t>(sequence) * s.heads + head) * s.time + row] =
          m.reference[r] * s.logit + __log2f(total);
  }
#pragma unroll
  for (int k = 0; k < 4; ++k) {
    Quad out;
#pragma unroll
    for (int i = 0; i < 4; ++i)
      out[i] = pack2(m.sum[2 * k + i / 2][i % 2 * 2] * scale[i % 2],
                     m.sum[2 * k + i / 2][i % 2 * 2 + 1] * scale[i % 2]);
    store_quad(scratch + (at.across ^ (32 * k)), out);
  }
  show_copies();
  __syncwarp();
  if (lane == 0) {
    write_box(s.out, scratch, 0, first, head, sequence);
    commit_writes();
  }
}

__global__ void __launch_bounds__(wide_forward_threads, 2)
    wide_forward(const __grid_constant__ WideForward s) {
  extern __shared__ __align__(1024) unsigned char shared[];
  __shared__ __align__(8) uint64_t barriers[3 * most_wide_tiles];
  const WideRows rows{shared_address(shared), shared_address(barriers), s.tiles};
  const int head = static_cast<int>(blockIdx.x) % s.heads,
            sequence = static_cast<int>(blockIdx.x) / s.heads;
  if (threadIdx.x == 0) {
    for (int i = 0; i < s.tiles; ++i) {
      start_barrier(rows.come(i), 1);
      start_barrier(rows.values(i), 1);
      start_barrier(rows.turned(i), 4);
    }
    show_barriers();
    copy_wide_head(s, rows, head, sequence);
  }
  __syncthreads();
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32 % 4, group = threadIdx.x / 128;
  for (int i = group; i < s.tiles; i += 2) {
    const int tile = tile_of(i, s.tiles), first = 64 * tile + 16 * warp;
    const uint32_t offset = first * panel_row, q = rows.q + offset, k = rows.k() + offset;
    WideAngles angles;
    if (s.angles.cosine) load_wide_angles(angles, s.angles, first, s.time, lane);
    wait_barrier(rows.come(tile), 0);
    if (s.angles.cosine) turn_wide_rows(angles, q, k, lane);
    show_copies();
    __syncwarp();
    if (lane == 0) {
      arrive(rows.turned(tile));
      if (s.keeps) {
        write_box(s.turned, q, 0, first, head, sequence);
        write_box(s.turned, k, 0, first, s.heads + head, sequence);
        commit_writes();
      }
    }
    WideMixture m;
    mix_wide_tile(rows, m, tile, s.logit, warp, lane);
    // Until the group has read all of its queries, in whose place the results go.
    if (lane == 0) wait_writes();
    synchronise_group(group);
    write_wide_rows(s, m, q, first, head, sequence, lane);
  }
  if (lane == 0) wait_writes();
}

}  // namespace

bool takes_wide_heads(const RopeShape& s) {
  return is_hopper() && s.heads == s.kv_heads && s.head_dim == 64 && s.fast == 32 &&
         s.time <= 64 * most_wide_tiles;
}

void wide_heads_forward(const SmallAttention& shape, const void* qkv, void* turned, float value,
                        void* out, float* lse, Stream stream) {
  const RopeShape& r = shape.rope;
  WideForward s{};
  s.qkv = wide_map(qkv, r, 3 * r.heads, 64);
  s.out = wide_map(out, r, r.heads, 16);
  s.keeps = turned;
  if (s.keeps) s.turned = wide_map(turned, r, 3 * r.heads, 16);
  s.angles = {shape.cosine, shape.sine, 1.0f};
  s.logit = shape.logit * log2_e;
  s.value = value;
  s.lse = lse;
  s.time = static_cast<int>(r.time);
  s.heads = static_cast<int>(r.heads);
  s.tiles = static_cast<int>((r.time + 63) / 64);
  const int bytes = 3 * s.tiles * wide_tile;
  allow_shared(wide_forward, 3 * most_wide_tiles * wide_tile);
  wide_forward<<<static_cast<unsigned>(r.sequences * r.heads), wide_forward_threads, bytes,
                 stream>>>(s);
  check_launch();
}

}  // namespace rung::cuda
