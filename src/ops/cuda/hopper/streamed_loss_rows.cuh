// What the loss of width 256 keeps of a warp's 16 rows while tiles of the readout pass: an online
// softmax with a reference in place of the largest logit so far, the largest of the first tile,
// which moves only where a later one lies far above it; and losses and gradients from it at the
// end.
#pragma once
#include "ops/cuda/hopper/streamed_rows.cuh"
#include "ops/cuda/hopper/wide_rows.cuh"

namespace rung::cuda {

constexpr float to_base_2 = 1.44269504f;  // log2(e)
constexpr float highest = 40.0f;          // above the reference that an exponent may lie

struct StreamedReadout {
  int rows, vocabulary, tiles;
  int64_t row_stride, weight_stride, target_stride, loss_stride;
  const bf16* weight;
  const int64_t* targets;
  float scale, factor;  // scale: of products to base 2
  float* loss;
  bf16 *dx, *q, *share;
};

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

// Exponentials as A operands; their sums are added.
__device__ inline void exponentials(Quad (&p)[8], const float (&z)[16][4], float scale,
                                    OnlineRows& online) {
  float more[2] = {};
#pragma unroll
  for (int k = 0; k < 8; ++k)
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int block = 2 * k + i / 2, r = i % 2;
      const float a = exp2_fast(fmaf(z[block][2 * r], scale, -online.reference[r]));
      const float b = exp2_fast(fmaf(z[block][2 * r + 1], scale, -online.reference[r]));
      online.total[r] += a, more[r] += b;
      p[k][i] = pack2(a, b);
    }
  online.total[0] += more[0], online.total[1] += more[1];
}

__device__ inline float low_of(uint32_t pair) {
  return __uint_as_float(pair << 16);
}
__device__ inline float high_of(uint32_t pair) {
  return __uint_as_float(pair & 0xffff0000u);
}

// q of the columns that have been written already, eight rows, where a row's reference has moved.
// Around the L1 cache, which does not know what the bulk copies wrote.
__device__ inline void scale_written(bf16* q, int64_t stride, int columns, int rows, float factor,
                                     int lane) {
  for (int row = 0; row < min(rows, 8); ++row) {
    const float low = __shfl_sync(0xffffffffu, factor, row * 4);
    if (!(low < 1.0f)) continue;
    for (int column = 8 * lane; column < columns; column += 256) {
      uint4* const at = reinterpret_cast<uint4*>(q + row * stride + column);
      uint4 v = __ldcg(at);
      for (uint32_t* const pair : {&v.x, &v.y, &v.z, &v.w})
        *pair = pack2(low * low_of(*pair), low * high_of(*pair));
      __stcg(at, v);
    }
  }
}

// Moves the references to the rows' largest logits, and all that hangs on them; q: the warp's first
// row, of which `columns` are written.
template <bool wanted>
__device__ inline void move_references(OnlineRows& online, const float (&largest)[2],
                                       float (&sum)[32][4], bf16* q, int64_t stride, int columns,
                                       int rows, int lane) {
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
      for (int n = 0; n < 32; ++n) sum[n][2 * r] *= factor, sum[n][2 * r + 1] *= factor;
      scale_written(q + 8 * r * stride, stride, columns, rows - 8 * r, factor, lane);
    }
  }
}

// A lane's two rows at the end: where they are, and their targets' rows of the matrix, of which a
// lane of four has every fourth piece of eight columns.
struct LastRows {
  int at[2];
  bool real[2];
  int64_t target[2];
  Quad line[2][8];

  __device__ LastRows(const StreamedReadout& s, int from, int lane) {
    const int member = static_cast<int>(blockIdx.y);
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      at[r] = from + lane / 4 + 8 * r;
      real[r] = at[r] < s.rows;
      target[r] = real[r] ? s.targets[member * s.target_stride + at[r]] : 0;
    }
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      const bf16* const row = s.weight + member * s.weight_stride + target[r] * long_row;
#pragma unroll
      for (int j = 0; j < 8; ++j) {
        const uint4 v = *reinterpret_cast<const uint4*>(row + 8 * (4 * j + lane % 4));
        line[r][j][0] = v.x, line[r][j][1] = v.y, line[r][j][2] = v.z, line[r][j][3] = v.w;
      }
    }
  }
  // Of row r, in the block's `row`, with its target's.
  __device__ float product(const unsigned char* x, int r, int row, int lane) const {
    float product = 0.0f;
#pragma unroll
    for (int j = 0; j < 8; ++j) {
      const uint4 v =
          *reinterpret_cast<const uint4*>(x + piece_at(streamed_rows, row, 4 * j + lane % 4));
      const Quad own{v.x, v.y, v.z, v.w};
#pragma unroll
      for (int i = 0; i < 4; ++i)
        product = fmaf(low_of(own[i]), low_of(line[r][j][i]),
                       fmaf(high_of(own[i]), high_of(line[r][j][i]), product));
    }
    return group_sum<4>(product);
  }
};

// The warp's rows of x in shared memory, divided by their totals, to `to`.
__device__ inline void write_shares(const unsigned char* x, bf16* to, const float (&inverse)[2],
                                    int first, int count, int lane) {
#pragma unroll
  for (int i = 0; i < 16; ++i) {
    const float scale = __shfl_sync(0xffffffffu, inverse[i / 8], i % 8 * 4);
    float value[8];
    load8(reinterpret_cast<const bf16*>(x + piece_at(streamed_rows, first + i, lane)), value);
#pragma unroll
    for (int k = 0; k < 8; ++k) value[k] *= scale;
    if (i < count) store8_whole(to + static_cast<int64_t>(i) * long_row + 8 * lane, value);
  }
}

// Losses of the warp's 16 rows, and gradients; `written` waits until q is in global memory.
template <bool wanted, class Written>
__device__ void finish_loss(const StreamedReadout& s, const OnlineRows& online, float (&sum)[32][4],
                            unsigned char* x, int first, int begin, int lane,
                            const Written& written) {
  const int member = static_cast<int>(blockIdx.y);
  LastRows last(s, begin + first, lane);
  float inverse[2], at_target[2];
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    const float product = last.product(x, r, first + lane / 4 + 8 * r, lane) * s.scale;
    const float total = group_sum<4>(online.total[r]), share = s.factor / total;
    const float hit = exp2_fast(product - online.reference[r]);
    inverse[r] = 1.0f / total, at_target[r] = hit - total;
    if (last.real[r] && lane % 4 == 0)
      s.loss[member * s.loss_stride + last.at[r]] =
          (online.reference[r] + __log2f(total) - product) / to_base_2;
    if constexpr (wanted) {
      // What the sums lost of the target's exponential by its rounding, or a confident row's
      // gradient, 1 - p, would be made of roundings.
      const float own = share * (hit - rounded<bf16>(hit)) - s.factor;
#pragma unroll
      for (int j = 0; j < 8; ++j) {
        gather_blocks(last.line[r][j], lane);  // back to two neighbours of each piece
#pragma unroll
        for (int n = 0; n < 4; ++n) {
          float(&pair)[4] = sum[4 * j + n];
          const uint32_t b = last.line[r][j][n];
          pair[2 * r] = share * pair[2 * r] + own * low_of(b);
          pair[2 * r + 1] = share * pair[2 * r + 1] + own * high_of(b);
        }
      }
    }
  }
  if constexpr (wanted) {
    const int64_t line = static_cast<int64_t>(member) * s.rows;
    write_shares(x, s.share + (line + begin + first) * long_row, inverse, first,
                 s.rows - begin - first, lane);
    __syncwarp();
#pragma unroll
    for (int k = 0; k < 16; ++k) {
      const float(&low)[4] = sum[2 * k], (&high)[4] = sum[2 * k + 1];
      store_matrices(
          shared_address(x) + piece_at(streamed_rows, first + lane % 16, 2 * k + lane / 16),
          {pack2(low[0], low[1]), pack2(low[2], low[3]), pack2(high[0], high[1]),
           pack2(high[2], high[3])});
    }
    __syncwarp();
    write_long_rows(x, s.dx + member * s.row_stride, first, begin, s.rows, lane);
    written();
#pragma unroll
    for (int r = 0; r < 2; ++r)
      if (last.real[r] && lane % 4 == 0)
        s.q[(line + last.at[r]) * s.vocabulary + last.target[r]] = from_float<bf16>(at_target[r]);
  }
}

}  // namespace rung::cuda
