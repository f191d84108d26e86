// A block a head. All of its rows come by the bulk tensor copy in tiles of 64, and each warpgroup
// takes an early tile of queries and a late one (of four: the first and the last, the second and
// the third), so that all do the same work and one computes exponentials while another multiplies.
// A warpgroup turns the rows of its tiles itself and tells the others when keys are done.
#include "ops/cuda/device.h"
#include "ops/cuda/hopper/wide_heads_forward.cuh"

namespace rung::cuda {
namespace {

// Warpgroups of a block: two up to 256 positions, two blocks a multiprocessor, or four and one.
constexpr int most_wide_groups = most_short_tiles / 2;

// Where a block's rows lie in shared memory, and its barriers: a tile's queries and keys have come;
// its values have; its keys are turned.
struct WideRows {
  uint32_t q, barriers;
  int tiles;
  __device__ uint32_t k() const { return q + tiles * wide_panel; }
  __device__ uint32_t v() const { return k() + tiles * wide_panel; }
  __device__ uint32_t come(int tile) const { return barriers + 24 * tile; }
  __device__ uint32_t values(int tile) const { return come(tile) + 8; }
  __device__ uint32_t turned(int tile) const { return come(tile) + 16; }
};

// By one thread.
__device__ inline void copy_wide_tile(const WideForward& s, const WideRows& rows, int tile,
                                      int head, int sequence) {
  const uint32_t to = rows.q + tile * wide_panel, come = rows.come(tile);
  announce(come, 2 * wide_panel);
  copy_box(to, s.qkv, come, 0, 64 * tile, head, sequence);
  copy_box(to + rows.tiles * wide_panel, s.qkv, come, 0, 64 * tile, s.heads + head, sequence);
  announce(rows.values(tile), wide_panel);
  copy_box(to + 2 * rows.tiles * wide_panel, s.qkv, rows.values(tile), 0, 64 * tile,
           2 * s.heads + head, sequence);
}

// A tile of queries over all keys up to its own. Queries are read from shared memory: as an operand
// in registers, loaded once before the loop, ptxas 13.0 gives them the registers of p, which the
// first turn writes.
__device__ inline void mix_wide_tile(const WideRows& rows, WideMixture& m, int tile, float logit,
                                     int warp, int lane) {
  Quad p[4] = {};
  float s[8][4] = {};
  const uint64_t queries = describe(rows.q + tile * wide_panel, 0);
  wait_barrier(rows.turned(tile), 0);
#pragma unroll 1
  for (int j = 0;; ++j) {
    wait_barrier(rows.turned(j), 0);
    wide_scores(s, m, p, queries, describe(rows.k() + j * wide_panel, 0));
    const bool last = j == tile;
    if (last) hide_later_keys(s, warp, lane);
    take_wide_powers(m, s, p, logit, j == 0, last ? warp + 1 : 4);
    wait_barrier(rows.values(j), 0);
    start_mixing(m, p, describe(rows.v() + j * wide_panel, 0));
    if (last) break;
  }
  wgmma_wait<0>();
  pin(m.sum);
  pin(p);
}

template <int groups>
__global__ void __launch_bounds__(128 * groups, most_wide_groups / groups)
    wide_forward(const __grid_constant__ WideForward s) {
  extern __shared__ __align__(1024) unsigned char shared[];
  __shared__ __align__(8) uint64_t barriers[6 * groups];
  const WideRows rows{shared_address(shared), shared_address(barriers), s.tiles};
  const int head = static_cast<int>(blockIdx.x) % s.heads,
            sequence = static_cast<int>(blockIdx.x) / s.heads;
  if (threadIdx.x == 0) {
    fetch_map(s.qkv);
    for (int i = 0; i < s.tiles; ++i) {
      start_barrier(rows.come(i), 1);
      start_barrier(rows.values(i), 1);
      start_barrier(rows.turned(i), 4);
    }
    show_barriers();
  }
  if (s.counters && blockIdx.x == 0 && threadIdx.x < wide_counters) s.counters[threadIdx.x] = 0;
  __syncthreads();
  if (threadIdx.x % 32 == 0 && static_cast<int>(threadIdx.x / 32) < s.tiles)
    copy_wide_tile(s, rows, threadIdx.x / 32, head, sequence);
  const int lane = threadIdx.x % 32,
            own = __shfl_sync(0xffffffffu, static_cast<int>(threadIdx.x / 32), 0), warp = own % 4,
            group = own / 4;
  const bool turns = s.angles.cosine != nullptr;
  WideAngles angles;
  if (turns && group < s.tiles)
    load_wide_angles(angles, s.angles, 64 * tile_of(group, s.tiles) + 16 * warp, s.time, lane);
  for (int i = group; i < s.tiles; i += groups) {
    const int tile = tile_of(i, s.tiles), first = 64 * tile + 16 * warp;
    const uint32_t offset = first * panel_row, q = rows.q + offset, k = rows.k() + offset;
    wait_barrier(rows.come(tile), 0);
    if (turns) turn_wide_rows(angles, q, k, lane);
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
    if (turns && i + groups < s.tiles)
      load_wide_angles(angles, s.angles, 64 * tile_of(i + groups, s.tiles) + 16 * warp, s.time,
                       lane);
    // Until the group has read all of its queries, in whose place the results go.
    if (lane == 0) wait_writes();
    synchronise_group<groups>(group);
    write_wide_rows(s, m, q, first, head, sequence, lane);
  }
  if (lane == 0) wait_writes();
}

}  // namespace

// A single tile of queries is done sooner by small_attention.h; the libraries' forward pass has
// more blocks than heads.
bool takes_wide_heads(const RopeShape& s) {
  return is_hopper() && takes_wide_heads_on_hopper(s, processors());
}

void wide_heads_forward(const WideHeads& shape, const void* qkv, void* turned, float value,
                        void* out, float* lse, int* counters, Stream stream) {
  const RopeShape& r = shape.rope;
  WideForward s{};
  s.qkv = wide_map(qkv, r, 3 * r.heads, 64);
  s.few = wide_map(qkv, r, 3 * r.heads, 16);
  s.out = wide_map(out, r, r.heads, 16);
  s.keeps = turned && (shape.cosine || turned != qkv);
  if (s.keeps) s.turned = wide_map(turned, r, 3 * r.heads, 16);
  s.angles = {shape.cosine, shape.sine, 1.0f};
  s.logit = shape.logit * log2_e;
  s.value = value;
  s.lse = lse;
  s.counters = counters;
  s.time = static_cast<int>(r.time);
  s.heads = static_cast<int>(r.heads);
  s.tiles = static_cast<int>((r.time + 63) / 64);
  const auto launch = [&](auto count) {
    constexpr int groups = decltype(count)::value;
    allow_shared(wide_forward<groups>, 6 * groups * wide_panel);
    wide_forward<groups><<<static_cast<unsigned>(r.sequences * r.heads), 128 * groups,
                           3 * s.tiles * wide_panel, stream>>>(s);
  };
  if (s.tiles > most_short_tiles)
    wide_long_forward(s, r.sequences * r.heads, stream);
  else if (s.tiles <= most_short_tiles / 2)
    launch(std::integral_constant<int, most_wide_groups / 2>());
  else
    launch(std::integral_constant<int, most_wide_groups>());
  check_launch();
}

}  // namespace rung::cuda
