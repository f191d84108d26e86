// Contextual position encoding: how far a key lies back is counted by gates that the content sets.
#pragma once
#include "ops/attention.h"
#include "ops/weight.h"

namespace rung {

// Causal attention over packed qkv, as attention() without rotation, with the bias of
// `positions` [P, n, head_dim] (shared by heads): gates g_ij = sigmoid(logit q_i.k_j), positions
// p_ij = sum of g_il over j <= l <= i, at most n - 1, bias interpolated between q_i.e at the two
// whole positions around p_ij. `scaled`: the bias is multiplied by `logit` as the content is.
// Source: Golovneva et al. 2024, "Contextual Position Encoding", equations 3 to 5 (not scaled); the
// authors' implementation scales by default. With `past` the tokens follow its own, as in
// attention_after.
at::Tensor cope_attention(const at::Tensor& qkv, const Weight& positions,
                          const AttentionOptions& options, bool scaled, KeyValues* past = nullptr);

}  // namespace rung
