// A block a head of 513 to 1,024 positions. Keys stay, turned, in shared memory; values pass
// through a ring. Four warpgroups take a tile of 64 queries each, round by round from the first
// four on, and turn the keys at the same places; in every other round they change about, so that
// all have the same number of products. Keys of later rounds come while earlier ones are at work.
#include "ops/cuda/hopper/wide_heads_forward.cuh"

namespace rung::cuda {
namespace {

constexpr int long_groups = 4, long_tiles = most_long_tiles, long_stages = 8;
constexpr int long_warps = 4 * long_groups, long_threads = 128 * (long_groups + 1);

// A block's shared memory: all keys, a tile of queries a warpgroup, the ring of values.
struct LongRows {
  uint32_t keys, barriers;
  __device__ uint32_t k(int tile) const { return keys + tile * wide_panel; }
  __device__ uint32_t q(int group) const { return k(long_tiles + group); }
  __device__ uint32_t v(int stage) const { return k(long_tiles + long_groups + stage); }
  // A tile's keys have come, and are turned; a warp's queries have come; a stage is full, or free.
  __device__ uint32_t come(int tile) const { return barriers + 8 * tile; }
  __device__ uint32_t turned(int tile) const { return come(long_tiles + tile); }
  __device__ uint32_t queries(int warp) const { return come(2 * long_tiles + warp); }
  __device__ uint32_t full(int stage) const { return come(2 * long_tiles + long_warps + stage); }
  __device__ uint32_t empty(int stage) const { return full(long_stages + stage); }
  static constexpr int count = 2 * long_tiles + long_warps + 2 * long_stages;
  static constexpr int bytes = (long_tiles + long_groups + long_stages) * wide_panel;
  __device__ void start() const {
    for (int i = 0; i < long_tiles; ++i) {
      start_barrier(come(i), 1);
      start_barrier(turned(i), 4);
    }
    for (int i = 0; i < long_warps; ++i) start_barrier(queries(i), 1);
    for (int i = 0; i < long_stages; ++i) {
      start_barrier(full(i), 1);
      start_barrier(empty(i), long_warps);
    }
  }
};

using LongPlace = RingPlace<long_stages>;

// Values that a round's tiles of queries see.
__device__ inline int values_of_round(int round, int tiles) {
  return min(long_groups * (round + 1), tiles);
}

// The keys that are new in a round.
__device__ inline void bring_long_keys(const WideForward& s, const LongRows& rows, int round,
                                       int head, int sequence) {
  for (int i = round * long_groups; i < values_of_round(round, s.tiles); ++i) {
    announce(rows.come(i), wide_panel);
    copy_box(rows.k(i), s.qkv, rows.come(i), 0, 64 * i, s.heads + head, sequence);
  }
}

// By one thread: a round's values, as room comes free, behind the keys of the round after it.
__device__ inline void bring_long_head(const WideForward& s, const LongRows& rows, int head,
                                       int sequence) {
  LongPlace at;
  bring_long_keys(s, rows, 0, head, sequence);
  for (int round = 0; round * long_groups < s.tiles; ++round) {
    bring_long_keys(s, rows, round + 1, head, sequence);
    const int end = values_of_round(round, s.tiles);
    for (int i = 0; i < end; ++i) {
      wait_barrier(rows.empty(at.stage), at.phase ^ 1);
      announce(rows.full(at.stage), wide_panel);
      copy_box(rows.v(at.stage), s.qkv, rows.full(at.stage), 0, 64 * i, 2 * s.heads + head,
               sequence);
      at.next();
    }
  }
}

__device__ inline void leave_stage(const LongRows& rows, int stage, int lane) {
  __syncwarp();
  if (lane == 0) arrive(rows.empty(stage));
}

// A tile of queries over all keys up to its own. s: where scores go, whatever is there.
__device__ inline void mix_long_tile(const LongRows& rows, float (&s)[8][4], WideMixture& m,
                                     LongPlace& at, int tile, int group, float logit, int warp,
                                     int lane) {
  Quad p[4] = {};
  const uint64_t queries = describe(rows.q(group), 0);
  wait_barrier(rows.turned(tile), 0);
  int before = 0;
#pragma unroll 1
  for (int j = 0;; ++j) {
    wait_barrier(rows.turned(j), 0);
    wide_scores(s, m, p, queries, describe(rows.k(j), 0));
    if (j > 0) leave_stage(rows, before, lane);
    const bool last = j == tile;
    if (last) hide_later_keys(s, warp, lane);
    take_wide_powers(m, s, p, logit, j == 0, last ? warp + 1 : 4);
    wait_barrier(rows.full(at.stage), at.phase);
    start_mixing(m, p, describe(rows.v(at.stage), 0));
    before = at.stage;
    at.next();
    if (last) break;
  }
  wgmma_wait<0>();
  pin(m.sum);
  pin(p);
  leave_stage(rows, before, lane);
}

// A warp of a warpgroup and its tiles of queries.
struct LongWarp {
  const WideForward& s;
  const LongRows& rows;
  int head, sequence, group, warp, lane;

  __device__ int tile(int round) const {
    return long_groups * round + (round % 2 ? long_groups - 1 - group : group);
  }
  __device__ int first(int round) const { return 64 * tile(round) + 16 * warp; }
  __device__ uint32_t q() const { return rows.q(group) + 16 * warp * panel_row; }
  __device__ uint32_t come() const { return rows.queries(4 * group + warp); }

  // Asks for its queries of a round, when the results before them have left their place.
  __device__ void bring(int round) const {
    if (lane > 0 || tile(round) >= s.tiles) return;
    wait_writes();
    announce(come(), 16 * panel_row);
    copy_box(q(), s.few, come(), 0, first(round), head, sequence);
  }
  // Turns the queries and the keys at their places.
  __device__ void turn(WideAngles& angles, int round) const {
    const bool turns = s.angles.cosine != nullptr;
    const uint32_t k = rows.k(tile(round)) + 16 * warp * panel_row;
    if (turns) load_wide_angles(angles, s.angles, first(round), s.time, lane);
    wait_barrier(rows.come(tile(round)), 0);
    wait_barrier(come(), round % 2);
    if (turns) turn_wide_rows(angles, q(), k, lane);
    show_copies();
    __syncwarp();
    if (lane > 0) return;
    arrive(rows.turned(tile(round)));
    if (!s.keeps) return;
    write_box(s.turned, q(), 0, first(round), head, sequence);
    write_box(s.turned, k, 0, first(round), s.heads + head, sequence);
    commit_writes();
  }
  __device__ void work() const {
    LongPlace at;
    bring(0);
    for (int round = 0; round * long_groups < s.tiles; ++round) {
      const int own = tile(round);
      if (own < s.tiles) {
        WideAngles angles{};
        turn(angles, round);
        // ptxas keeps registers for scores while angles are at work, and both are too many unless
        // scores begin as angles.
        float scores[8][4];
#pragma unroll
        for (int i = 0; i < 4; ++i)
#pragma unroll
          for (int e = 0; e < 4; ++e)
            scores[i][e] = angles.cosine[i][e], scores[4 + i][e] = angles.sine[i][e];
        WideMixture m;
        mix_long_tile(rows, scores, m, at, own, group, s.logit, warp, lane);
        if (lane == 0) wait_writes();
        synchronise_group<long_groups>(group);
        write_wide_rows(s, m, q(), first(round), head, sequence, lane);
        bring(round + 1);
      }
      for (int i = own < s.tiles ? own + 1 : 0; i < values_of_round(round, s.tiles); ++i) {
        wait_barrier(rows.full(at.stage), at.phase);
        leave_stage(rows, at.stage, lane);
        at.next();
      }
    }
    if (lane == 0) wait_writes();
  }
};

__global__ void __launch_bounds__(long_threads, 1)
    wide_long(const __grid_constant__ WideForward s) {
  extern __shared__ __align__(1024) unsigned char shared[];
  __shared__ __align__(8) uint64_t barriers[LongRows::count];
  const LongRows rows{shared_address(shared), shared_address(barriers)};
  const int head = static_cast<int>(blockIdx.x) % s.heads,
            sequence = static_cast<int>(blockIdx.x) / s.heads;
  if (threadIdx.x == 0) {
    rows.start();
    show_barriers();
  }
  if (s.counters && blockIdx.x == 0 && threadIdx.x < wide_counters) s.counters[threadIdx.x] = 0;
  __syncthreads();
  const int lane = threadIdx.x % 32,
            warp = __shfl_sync(0xffffffffu, static_cast<int>(threadIdx.x / 32), 0);
  if (warp < long_warps) {
    asm volatile("setmaxnreg.inc.sync.aligned.u32 112;");
    LongWarp{s, rows, head, sequence, warp / 4, warp % 4, lane}.work();
  } else {
    asm volatile("setmaxnreg.dec.sync.aligned.u32 32;");
    if (threadIdx.x == 32 * long_warps) bring_long_head(s, rows, head, sequence);
  }
}

}  // namespace

void wide_long_forward(const WideForward& s, int64_t heads, Stream stream) {
  allow_shared(wide_long, LongRows::bytes);
  wide_long<<<static_cast<unsigned>(heads), long_threads, LongRows::bytes, stream>>>(s);
}

}  // namespace rung::cuda
