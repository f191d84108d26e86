// What is made of a row once its exponentials are written and summed (powers_loss.h).
#pragma once
#include "ops/cuda/hopper/powers_loss.h"
#include "ops/cuda/mma.cuh"

namespace rung::cuda {

constexpr float powers_to_base_2 = 1.44269504f, powers_from_base_2 = 0.69314718f;

// Rows of a member at a time.
struct PowersJoinRows {
  int64_t rows, vocabulary, width;
  int64_t row_stride, weight_stride, target_stride, loss_stride;
  int parts;
  float scale, factor;  // scale: of products to base 2
  const bf16 *x, *weight;
  const int64_t* targets;
  const float *totals, *hits;
  float *loss, *factors;
  bf16 *q, *share;

  __device__ const bf16* row(int64_t member, int64_t row) const {
    return x + member * row_stride + row * width;
  }
  __device__ const bf16* matrix(int64_t member) const { return weight + member * weight_stride; }
  __device__ bf16* powers(int64_t member, int64_t row) const {
    return q + (member * rows + row) * vocabulary;
  }
  __device__ float total(int64_t member, int64_t row) const {
    const float* const from = totals + (member * rows + row) * parts;
    float sum = from[0];
    for (int i = 1; i < parts; ++i) sum += from[i];
    return sum;
  }
};

// Of a sum of powers that says little of its row, or nothing. One that is no number stays: its row
// has logits that are none.
__device__ inline bool out_of_range(float total) {
  return total < 1e-20f || total > 1e30f;
}

// By a warp: the loss of a row whose powers have a total, from its target's logit, both by the same
// reference; in the target's place of q what the target's gradient takes along; x / total.
__device__ inline void finish_powers_row(const PowersJoinRows& s, int64_t member, int64_t row,
                                         float total, float z, int lane) {
  if (lane == 0) {
    s.loss[member * s.loss_stride + row] = (__log2f(total) - z) * powers_from_base_2;
    if (s.q) {
      s.powers(member, row)[s.targets[member * s.target_stride + row]] =
          from_float<bf16>(exp2_fast(z) - total);
      s.factors[member * s.rows + row] = s.factor / total;
    }
  }
  if (!s.q) return;
  const float inverse = 1.0f / total;
  const bf16* const x = s.row(member, row);
  for (int64_t at = 8 * lane; at < s.width; at += 256) {
    float v[8];
    load8(x + at, v);
#pragma unroll
    for (int i = 0; i < 8; ++i) v[i] *= inverse;
    store8(s.share + (member * s.rows + row) * s.width + at, v);
  }
}

// Makes rows whose totals are out of range again, with their largest logits for references.
void powers_repair(const PowersJoinRows& rows, int64_t members, Stream stream);

}  // namespace rung::cuda
