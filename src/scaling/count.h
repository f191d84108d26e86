// Exact counting: parameters, FLOPs and bytes. Conventions: training = 3 x forward, multiply-add =
// 2, causal attention halved, elementwise work and table look-ups uncounted.
#pragma once
#include <cstdint>
#include <span>

#include "scaling/tensors.h"

namespace rung {

// N: what a token multiplies by (body and readout; the active share of mixtures; no embedding
// table). N_total: all that is stored. N_active: N less what is frozen. A tied matrix is counted
// once in N and N_total, and in both of the others.
struct Counts {
  int64_t N = 0, N_total = 0, N_embedding = 0, N_readout = 0;
  int64_t N_active = 0;
  int64_t frozen = 0;  // of N_total
};
Counts count(std::span<const TensorSpec> tensors);

// Score and value products of one causal attention layer per token, forward, averaged over a
// context of T: token t sees t keys, so the mean is (T + 1) / 2 keys, each 2 multiply-adds for all
// heads: 2 (T + 1) heads d.
double attention_flops_per_token(int64_t context, int64_t heads, int64_t head_dim);

// 2 for each matrix element that a token multiplies by (hidden, readout, tied, filters), plus
// `extra` FLOPs per token of products without weights (attention of all layers).
double forward_flops_per_token(std::span<const TensorSpec> tensors, double extra);

// C of a run over `tokens` target tokens.
double training_flops(std::span<const TensorSpec> tensors, double extra, int64_t tokens);
double flops_6nd(int64_t n, int64_t tokens);

}  // namespace rung
