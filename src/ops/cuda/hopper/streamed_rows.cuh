// Blocks that keep 128 rows of 256 columns in shared memory while matrices stream past. Two
// warpgroups multiply, 64 rows each; a thread of a third one has the matrices copied.
#pragma once
#include "ops/cuda/device.h"
#include "ops/cuda/hopper/tensor_copy.cuh"
#include "ops/cuda/hopper/wgmma.cuh"

namespace rung::cuda {

constexpr int long_row = 256, long_panels = long_row / panel_columns;
constexpr int streamed_rows = 128, streamed_users = 8;  // rows of a block; warps that read stages
constexpr int streamed_threads = 384, streamed_workers = 256;
constexpr int streamed_rows_bytes = streamed_rows * long_row * 2;
constexpr int streamed_panel = streamed_rows * panel_row;

// Registers go from the warpgroup that copies to those that multiply.
__device__ inline void keep_few_registers() {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 24;");
}
__device__ inline void take_registers() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 240;");
}
// Of the threads that multiply.
__device__ inline void synchronise_workers() {
  asm volatile("bar.sync 1, 256;" ::: "memory");
}
// The second warpgroup begins its first slice when the first one has its products: from then on one
// computes curves while the other multiplies.
__device__ inline void begin_second(int group) {
  if (group == 1) asm volatile("bar.sync 2, 256;" ::: "memory");
}
__device__ inline void let_second_begin(int group) {
  if (group == 0) asm volatile("bar.arrive 2, 256;" ::: "memory");
}

// `stages` places of `bytes` bytes that are filled and used in turns. Barriers: a stage has come,
// for each; then: it is done with.
template <int stages, int bytes>
struct StageRing {
  uint32_t data, barriers;
  uint32_t stage = 0, phase = 0;
  static constexpr int barrier_bytes = 16 * stages;

  __device__ uint32_t at() const { return data + stage * bytes; }
  __device__ uint32_t full() const { return barriers + 8 * stage; }
  __device__ uint32_t empty() const { return full() + 8 * stages; }
  __device__ void next() {
    if (++stage == stages) stage = 0, phase ^= 1;
  }
  // By one thread, before the block synchronises; show_barriers follows.
  __device__ void start() const {
    for (int i = 0; i < stages; ++i) {
      start_barrier(barriers + 8 * i, 1);
      start_barrier(barriers + 8 * (stages + i), streamed_users);
    }
  }
  __device__ void wait() const { wait_barrier(full(), phase); }
  // By whole warps: this one is done with the stage.
  __device__ void done(int lane) const {
    if (lane == 0) arrive(empty());
  }
  // By the thread that copies: until all are done with the stage's last use.
  __device__ void wait_empty() const { wait_barrier(empty(), phase ^ 1); }
};

// The box of the block's member that begins at (part, row, column).
__device__ inline void copy_own(uint32_t to, const CUtensorMap& map, uint32_t barrier, int column,
                                int row, int part = 0) {
  copy_box(to, map, barrier, column, row, part, static_cast<int>(blockIdx.y));
}

// The block's rows of 256 columns as four panels; by one thread.
__device__ inline void copy_long_rows(uint32_t to, const CUtensorMap& map, uint32_t barrier,
                                      int begin) {
#pragma unroll
  for (int panel = 0; panel < long_panels; ++panel)
    copy_own(to + panel * streamed_panel, map, barrier, panel * panel_columns, begin);
}

// A warp's 16 rows in shared memory, `apart` from one to the next from `first` on, become their
// RMSNorm, four at a time, whose sums are under way together. `unit` may be null; keep(row, factor)
// is called by one lane.
template <int apart, class Keep>
__device__ inline void normalise_rows(unsigned char* rows, int first, float epsilon, bf16* unit,
                                      const Keep& keep, int begin, int end) {
  constexpr int together = 4;
  const int piece = threadIdx.x % 32;
#pragma unroll 1
  for (int batch = 0; batch < 16; batch += together) {
    float value[together][8], squares[together] = {};
    const auto row_of = [&](int i) { return first + (batch + i) * apart; };
    const auto own = [&](int i) {
      return reinterpret_cast<bf16*>(rows + piece_at(streamed_rows, row_of(i), piece));
    };
#pragma unroll
    for (int i = 0; i < together; ++i) {
      load8(own(i), value[i]);
#pragma unroll
      for (int k = 0; k < 8; ++k) squares[i] += value[i][k] * value[i][k];
    }
#pragma unroll
    for (int lanes = 16; lanes > 0; lanes /= 2)
#pragma unroll
      for (int i = 0; i < together; ++i)
        squares[i] += __shfl_xor_sync(0xffffffffu, squares[i], lanes);
#pragma unroll
    for (int i = 0; i < together; ++i) {
      const int row = row_of(i);
      const float scale = rsqrtf(squares[i] / long_row + epsilon);
#pragma unroll
      for (int k = 0; k < 8; ++k) value[i][k] *= scale;
      store8(own(i), value[i]);
      if (unit && begin + row < end)
        store8_whole(unit + static_cast<int64_t>(begin + row) * long_row + 8 * piece, value[i]);
      if (piece == 0) keep(row, scale);
    }
  }
}

// All of the block's, a row a warp and turn; `unit` and `rstd` may be null.
__device__ inline void normalise_long(unsigned char* rows, float epsilon, float* rstd, bf16* unit,
                                      int begin, int end) {
  normalise_rows<streamed_users>(
      rows, static_cast<int>(threadIdx.x / 32), epsilon, unit,
      [&](int row, float scale) {
        if (rstd) rstd[row] = scale;
      },
      begin, end);
}

// sum += a b^T for a warpgroup's 64 rows of a, which begin at `own`, and the next 256 rows of b,
// which come as four panels.
template <class Ring>
__device__ inline void multiply_long_rows(float (&sum)[32][4], uint64_t own, Ring& ring, int lane) {
#pragma unroll 1
  for (int panel = 0; panel < long_panels; ++panel, ring.next()) {
    ring.wait();
    const uint64_t map = describe(ring.at(), 0);
    wgmma_fence();
#pragma unroll
    for (int k = 0; k < 4; ++k)
      multiply_add<0>(sum, moved(own, panel * streamed_panel + k * 32), moved(map, k * 32));
    wgmma_commit();
    wgmma_wait<0>();
    pin(sum);
    ring.done(lane);
  }
}

// A warp's 16 rows, from row `first` of the block on, to global memory where they are there.
__device__ inline void write_long_rows(const unsigned char* from, bf16* to, int first, int begin,
                                       int end, int lane) {
#pragma unroll 4
  for (int i = 0; i < 16; ++i) {
    const int row = first + i;
    if (begin + row < end)
      store16(to + static_cast<int64_t>(begin + row) * long_row + 8 * lane,
              *reinterpret_cast<const uint4*>(from + piece_at(streamed_rows, row, lane)));
  }
}

// The block's rows as the copies want them.
inline CUtensorMap rows_map(const void* rows, int64_t members, int64_t count, int64_t stride) {
  return tensor_map(
      {rows, long_row, count, 1, members, long_row, count * long_row, stride, streamed_rows});
}

// dx = around dout + factor rstd (du - unit mean(du unit)), the gradient through the norm, in place
// of dout, for a warp's 16 rows.
struct LongBack {
  float factor, around;
};
__device__ inline void finish_long_rows(const LongBack& s, const float (&du)[32][4],
                                        const unsigned char* unit, unsigned char* dout,
                                        const float* rstd, int first, int lane) {
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    const int row = first + lane / 4 + 8 * r;
    const auto place = [&](int n) { return piece_at(streamed_rows, row, n) + lane % 4 * 4; };
    float product = 0.0f;
    uint32_t own[32];
#pragma unroll
    for (int n = 0; n < 32; ++n) own[n] = *reinterpret_cast<const uint32_t*>(unit + place(n));
#pragma unroll
    for (int n = 0; n < 32; ++n) {
      product += du[n][2 * r] * __uint_as_float(own[n] << 16);
      product += du[n][2 * r + 1] * __uint_as_float(own[n] & 0xffff0000u);
    }
    product = group_sum<4>(product) / long_row;
    const float factor = s.factor * rstd[row];
#pragma unroll
    for (int n = 0; n < 32; ++n) {
      const uint32_t u = own[n];
      uint32_t& d = *reinterpret_cast<uint32_t*>(dout + place(n));
      d = pack2(s.around * __uint_as_float(d << 16) +
                    factor * (du[n][2 * r] - __uint_as_float(u << 16) * product),
                s.around * __uint_as_float(d & 0xffff0000u) +
                    factor * (du[n][2 * r + 1] - __uint_as_float(u & 0xffff0000u) * product));
    }
  }
}

// A block for every 128 rows of a member.
template <class C, class Kernel, class Args, class Maps>
void launch_streamed(int64_t members, int64_t rows, Kernel kernel, const Args& args,
                     const Maps& maps, Stream stream) {
  cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, C::bytes);
  const dim3 grid(blocks_for(rows, streamed_rows), static_cast<unsigned>(members));
  kernel<<<grid, streamed_threads, C::bytes, stream>>>(args, maps);
  check_launch();
}

}  // namespace rung::cuda
