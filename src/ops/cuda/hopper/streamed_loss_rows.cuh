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
__device__ void finish_loss(const StreamedReadout& s, const OnlineRows& online,
                            float (&sum)[2][16][4], unsigned char* x, int first, int begin,
                            int lane) {
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

}  // namespace rung::cuda
