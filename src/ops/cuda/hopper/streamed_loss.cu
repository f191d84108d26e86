// A warpgroup's 64 rows meet tiles of 128 rows of the readout. The softmax is online, with a
// reference in place of the largest logit so far: the largest of the first tile, which moves only
// where a later one lies far above it.
#include "ops/cuda/hopper/streamed_loss.h"
#include "ops/cuda/hopper/streamed_rows.cuh"
#include "ops/cuda/hopper/wide_rows.cuh"

namespace rung::cuda {
namespace {

constexpr float to_base_2 = 1.44269504f;  // log2(e)
constexpr float highest = 40.0f;          // above the reference that an exponent may lie

struct LossTiles256 {
  static constexpr int tile = 128, panel_bytes = tile * panel_row;
  // A tile is two stages of two panels each.
  static constexpr int stages = 5, stage_bytes = 2 * panel_bytes;
  static constexpr int barriers_at = streamed_rows_bytes + stages * stage_bytes;
  static constexpr int bytes = 1024 + barriers_at + 16 * stages + 8;
  using Ring = StageRing<stages, stage_bytes>;
};

struct Readout {
  int rows, vocabulary, tiles;
  int64_t row_stride, weight_stride, target_stride, loss_stride;
  const bf16* weight;
  const int64_t* targets;
  float scale, factor;  // scale: of products to base 2
  float* loss;
  bf16 *dx, *q, *share;
};

struct LossMaps {
  CUtensorMap rows, weight;
};

template <class C>
__device__ void bring_tiles(typename C::Ring ring, int tiles, const CUtensorMap& weight) {
  for (int tile = 0; tile < tiles; ++tile)
#pragma unroll
    for (int stage = 0; stage < 2; ++stage, ring.next()) {
      ring.wait_empty();
      announce(ring.full(), C::stage_bytes);
#pragma unroll
      for (int panel = 0; panel < 2; ++panel)
        copy_own(ring.at() + panel * C::panel_bytes, weight, ring.full(),
                 (2 * stage + panel) * panel_columns, tile * C::tile);
    }
}

// z = the warpgroup's rows times a tile, started.
template <class C>
__device__ void multiply_tile(float (&z)[16][4], uint64_t own, typename C::Ring& ring) {
#pragma unroll
  for (int stage = 0; stage < 2; ++stage, ring.next()) {
    ring.wait();
    wgmma_fence();
    const uint64_t tile = describe(ring.at(), 0);
#pragma unroll
    for (int k = 0; k < 8; ++k) {
      const uint64_t a = moved(own, (2 * stage + k / 4) * streamed_panel + k % 4 * 32);
      const uint64_t b = moved(tile, k / 4 * C::panel_bytes + k % 4 * 32);
      if (stage == 0 && k == 0)
        multiply(z, a, b);
      else
        multiply_add(z, a, b);
    }
  }
}

// Of a lane's two rows: the reference, the lane's part of the sum of exponentials.
struct OnlineRows {
  float reference[2] = {-INFINITY, -INFINITY}, total[2] = {};
};

// The largest logit of a lane's two rows.
__device__ inline void largest_of(const float (&z)[16][4], float scale, float (&largest)[2]) {
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    float most = z[0][2 * r];
#pragma unroll
    for (int n = 0; n < 16; ++n) most = fmaxf(most, fmaxf(z[n][2 * r], z[n][2 * r + 1]));
    largest[r] = most * scale;
  }
}

// q of the columns that the warp has written already, where a row's reference has moved.
__device__ inline void scale_written(bf16* q, int64_t stride, int columns, int rows, float factor,
                                     int lane) {
  __syncwarp();
  for (int row = 0; row < min(rows, 16); ++row) {
    const float low = __shfl_sync(0xffffffffu, factor, row % 8 * 4);
    if (!(low < 1.0f)) continue;
    for (int column = 8 * lane; column < columns; column += 256) {
      float value[8];
      load8(q + row * stride + column, value);
#pragma unroll
      for (int k = 0; k < 8; ++k) value[k] *= low;
      store8(q + row * stride + column, value);
    }
  }
  __syncwarp();
}

// Exponentials as A operands; their sums are added.
__device__ inline void exponentials(Quad (&p)[8], const float (&z)[16][4], float scale,
                                    OnlineRows& online) {
#pragma unroll
  for (int k = 0; k < 8; ++k)
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int block = 2 * k + i / 2, r = i % 2;
      const float a = exp2_fast(fmaf(z[block][2 * r], scale, -online.reference[r]));
      const float b = exp2_fast(fmaf(z[block][2 * r + 1], scale, -online.reference[r]));
      online.total[r] += a + b;
      p[k][i] = pack2(a, b);
    }
}

// Moves the references to the rows' largest logits, and all that hangs on them.
template <bool wanted>
__device__ void move_references(OnlineRows& online, float (&largest)[2], float (&sum)[2][16][4],
                                bf16* q, int64_t stride, int columns, int rows, int lane) {
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    float most = fmaxf(largest[r], online.reference[r]);
    most = fmaxf(most, __shfl_xor_sync(0xffffffffu, most, 1));
    most = fmaxf(most, __shfl_xor_sync(0xffffffffu, most, 2));
    const float factor = exp2_fast(online.reference[r] - most);
    online.reference[r] = most;
    online.total[r] *= factor;
    if constexpr (wanted) {
      if (columns == 0) continue;  // nothing has been added yet
#pragma unroll
      for (int half = 0; half < 2; ++half)
#pragma unroll
        for (int n = 0; n < 16; ++n)
          sum[half][n][2 * r] *= factor, sum[half][n][2 * r + 1] *= factor;
      scale_written(q + 8 * r * stride, stride, columns, min(rows - 8 * r, 8), factor, lane);
    }
  }
}

__device__ inline float2 pair_at(const void* from) {
  const uint32_t pair = *static_cast<const uint32_t*>(from);
  return make_float2(__uint_as_float(pair << 16), __uint_as_float(pair & 0xffff0000u));
}

// Losses of the warp's 16 rows, and gradients.
template <bool wanted>
__device__ void finish_loss(const Readout& s, const OnlineRows& online, float (&sum)[2][16][4],
                            unsigned char* x, int first, int begin, int lane) {
  const int member = static_cast<int>(blockIdx.y);
  const bf16* const weight = s.weight + member * s.weight_stride;
  float inverse[2];
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    const int row = first + lane / 4 + 8 * r, at = begin + row;
    const bool real = at < s.rows;
    const int64_t target = real ? s.targets[member * s.target_stride + at] : 0;
    const bf16* const line = weight + target * long_row + lane % 4 * 2;
    const float total = group_sum<4>(online.total[r]), share = s.factor / total;
    inverse[r] = 1.0f / total;
    float product = 0.0f;
#pragma unroll
    for (int n = 0; n < 32; ++n) {
      const float2 a = pair_at(x + piece_at(streamed_rows, row, n) + lane % 4 * 4),
                   b = pair_at(line + 8 * n);
      product = fmaf(a.x, b.x, fmaf(a.y, b.y, product));
    }
    product = group_sum<4>(product) * s.scale;
    const float hit = exp2_fast(product - online.reference[r]);
    if constexpr (wanted) {
      // What the sums lost of the target's exponential by its rounding, or a confident row's
      // gradient, 1 - p, would be made of roundings.
      const float own = share * (hit - rounded<bf16>(hit)) - s.factor;
#pragma unroll
      for (int n = 0; n < 32; ++n) {
        const float2 b = pair_at(line + 8 * n);
        float(&pair)[4] = sum[n / 16][n % 16];
        pair[2 * r] = share * pair[2 * r] + own * b.x;
        pair[2 * r + 1] = share * pair[2 * r + 1] + own * b.y;
      }
    }
    if (!real || lane % 4 != 0) continue;
    s.loss[member * s.loss_stride + at] =
        (online.reference[r] + __log2f(total) - product) / to_base_2;
    if constexpr (wanted)
      s.q[(static_cast<int64_t>(member) * s.rows + at) * s.vocabulary + target] =
          from_float<bf16>(hit - total);
  }
  if constexpr (wanted) {
    bf16* const shares = s.share + static_cast<int64_t>(member) * s.rows * long_row;
#pragma unroll
    for (int i = 0; i < 16; ++i) {
      const float scale = __shfl_sync(0xffffffffu, inverse[i / 8], i % 8 * 4);
      float value[8];
      load8(reinterpret_cast<const bf16*>(x + piece_at(streamed_rows, first + i, lane)), value);
#pragma unroll
      for (int k = 0; k < 8; ++k) value[k] *= scale;
      if (begin + first + i < s.rows)
        store8(shares + static_cast<int64_t>(begin + first + i) * long_row + 8 * lane, value);
    }
    __syncwarp();
#pragma unroll
    for (int r = 0; r < 2; ++r)
#pragma unroll
      for (int n = 0; n < 32; ++n)
        *reinterpret_cast<uint32_t*>(x + piece_at(streamed_rows, first + lane / 4 + 8 * r, n) +
                                     lane % 4 * 4) =
            pack2(sum[n / 16][n % 16][2 * r], sum[n / 16][n % 16][2 * r + 1]);
    __syncwarp();
    write_long_rows(x, s.dx + member * s.row_stride, first, begin, s.rows, lane);
  }
}

template <class C, bool wanted>
__device__ void meet_tiles(const Readout& s, typename C::Ring ring, unsigned char* x, uint32_t base,
                           int begin) {
  const int warp = __shfl_sync(0xffffffffu, threadIdx.x / 32, 0), lane = threadIdx.x % 32;
  const int group = warp / 4, first = 16 * warp;
  const uint64_t own = describe(base + group * 64 * panel_row, 0);
  // The warp's first row of q, and how many of its rows there are.
  const int there = s.rows - begin - first;
  bf16* const q =
      wanted ? s.q + (static_cast<int64_t>(blockIdx.y) * s.rows + begin + first) * s.vocabulary
             : nullptr;
  float sum[2][16][4] = {};
  Quad p[8] = {};
  OnlineRows online;
  begin_second(group);
  for (int tile = 0; tile < s.tiles; ++tile) {
    float z[16][4];
    typename C::Ring lines = ring, read = ring;
    multiply_tile<C>(z, own, ring);
    wgmma_commit();
    wgmma_wait<0>();
    pin(z);
    if (tile == 0) let_second_begin(group);
    const int columns = tile * C::tile, left = s.vocabulary - columns;
    if (left < C::tile)
#pragma unroll
      for (int n = 0; n < 16; ++n)
#pragma unroll
        for (int j = 0; j < 4; ++j)
          if (8 * n + lane % 4 * 2 + j % 2 >= left) z[n][j] = -INFINITY;
    float largest[2];
    largest_of(z, s.scale, largest);
    if (!__all_sync(0xffffffffu, largest[0] <= online.reference[0] + highest &&
                                     largest[1] <= online.reference[1] + highest))
      move_references<wanted>(online, largest, sum, q, s.vocabulary, columns, there, lane);
    exponentials(p, z, s.scale, online);
    if constexpr (wanted) {
      const uint64_t low = describe(lines.at(), C::panel_bytes);
      lines.next();
      const uint64_t high = describe(lines.at(), C::panel_bytes);
      wgmma_fence();
#pragma unroll
      for (int k = 0; k < 8; ++k) multiply_add<1>(sum[0], p[k], moved(low, k * 16 * panel_row));
#pragma unroll
      for (int k = 0; k < 8; ++k) multiply_add<1>(sum[1], p[k], moved(high, k * 16 * panel_row));
      wgmma_commit();
#pragma unroll
      for (int half = 0; half < 2; ++half)
        write_columns(p + 4 * half, q + columns + 64 * half, s.vocabulary, 0, there,
                      left - 64 * half, lane);
      wgmma_wait<0>();
      pin(sum[0]);
      pin(sum[1]);
      pin(p);
    }
    read.done(lane);
    read.next();
    read.done(lane);
  }
  __syncwarp();
  finish_loss<wanted>(s, online, sum, x, first, begin, lane);
}

template <class C, bool wanted>
__global__ void __launch_bounds__(streamed_threads, 1)
    pass(const Readout s, const __grid_constant__ LossMaps maps) {
  extern __shared__ unsigned char shared[];
  const uint32_t start = shared_address(shared), base = (start + 1023) / 1024 * 1024;
  const typename C::Ring ring{base + streamed_rows_bytes, base + C::barriers_at};
  const uint32_t rows_came = base + C::barriers_at + C::Ring::barrier_bytes;
  const int begin = blockIdx.x * streamed_rows;
  if (threadIdx.x == streamed_workers) {
    ring.start();
    start_barrier(rows_came, 1);
    show_barriers();
    announce(rows_came, streamed_rows_bytes);
    copy_long_rows(base, maps.rows, rows_came, begin);
  }
  __syncthreads();
  if (threadIdx.x >= streamed_workers) {
    keep_few_registers();
    if (threadIdx.x == streamed_workers) bring_tiles<C>(ring, s.tiles, maps.weight);
  } else {
    take_registers();
    wait_barrier(rows_came, 0);
    meet_tiles<C, wanted>(s, ring, shared + (base - start), base, begin);
  }
}

void launch(const StreamedLoss& shape, const void* x, const Readout& s, Stream stream) {
  using C = LossTiles256;
  const LossMaps maps{rows_map(x, shape.members, shape.rows, shape.row_stride),
                      tensor_map({s.weight, long_row, shape.vocabulary, 1, shape.members, long_row,
                                  shape.vocabulary * long_row, shape.weight_stride, C::tile})};
  if (s.dx)
    launch_streamed<C>(shape.members, shape.rows, pass<C, true>, s, maps, stream);
  else
    launch_streamed<C>(shape.members, shape.rows, pass<C, false>, s, maps, stream);
}

}  // namespace

void streamed_loss(const StreamedLoss& shape, const void* x, const void* weight,
                   const int64_t* targets, float factor, float* loss, void* dx, void* q,
                   void* share, Stream stream) {
  const Readout s{static_cast<int>(shape.rows),
                  static_cast<int>(shape.vocabulary),
                  static_cast<int>((shape.vocabulary + 127) / 128),
                  shape.row_stride,
                  shape.weight_stride,
                  shape.target_stride,
                  shape.loss_stride,
                  static_cast<const bf16*>(weight),
                  targets,
                  shape.forward * to_base_2,
                  factor,
                  loss,
                  static_cast<bf16*>(dx),
                  static_cast<bf16*>(q),
                  static_cast<bf16*>(share)};
  launch(shape, x, s, stream);
}

}  // namespace rung::cuda
