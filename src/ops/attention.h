// Causal softmax attention over packed queries, keys and values, with rotary positions.
#pragma once
#include "ops/rope.h"
#include "ops/weight.h"

namespace rung {

struct AttentionOptions {
  int64_t heads = 1, kv_heads = 1, head_dim = 1;
  double logit = 1.0;       // multiplies q.k
  double forward = 1.0;     // multiplies the output
  double backward = 1.0;    // multiplies the gradients of q, k and v
  bool key_offset = false;  // as offset_keys
  int64_t window = 0;       // tokens that one attends to, itself included; 0: all before
  double cap = 0.0;         // scores s become cap tanh(s / cap) before the mask; 0: off
  bool overwrite = false;   // nobody reads qkv afterwards: it may be rotated where it lies
};

// Keys (rotated) and values of the tokens before, [P, B, T, kv_heads, head_dim], and the last
// token's key as it came, for offset keys; undefined: none.
struct KeyValues {
  at::Tensor k, v, own;
};

// qkv [P, B, T, (heads + 2 kv_heads) head_dim] = [q | k | v] -> [P, B, T, heads head_dim].
at::Tensor attention(const at::Tensor& qkv, const Rope& rope, const AttentionOptions& options);
at::Tensor attention_plain(const at::Tensor& qkv, const Rope& rope,
                           const AttentionOptions& options);

// attention(linear(x, weight)); q, k and v are nobody else's.
at::Tensor mapped_attention(const at::Tensor& x, const Weight& weight, const Rope& rope,
                            const AttentionOptions& options);

// attention of tokens that follow `past`, to which their own keys and values are added; `rope` is
// of their positions. With a window, `past` forgets what no later token sees.
at::Tensor attention_after(const at::Tensor& qkv, const Rope& rope, const AttentionOptions& options,
                           KeyValues& past);
// Appends k and v along the time axis.
void append(KeyValues& past, const at::Tensor& k, const at::Tensor& v);
// The scores before cap and softmax, logit q.k with rotated heads, for all pairs of positions: [P,
// B, heads, T, T].
at::Tensor attention_scores(const at::Tensor& qkv, const Rope& rope,
                            const AttentionOptions& options);

// The heads of packed qkv, each [P, B, T, heads, head_dim].
struct Heads {
  at::Tensor q, k, v;
};
Heads split_heads(const at::Tensor& qkv, const AttentionOptions& options);

struct QkNormOptions {
  double epsilon = 1e-6;
  bool whole = false;  // over all heads at once (OLMo 2); else every head alone
};

// RMS-normalises queries and keys of packed qkv, times the gains where given: [P, head_dim], or [P,
// heads head_dim] over the whole width.
at::Tensor qk_norm(const at::Tensor& qkv, const AttentionOptions& options,
                   const QkNormOptions& norm, const Weight& q_gain, const Weight& k_gain);

// Of a head's head_dim / 2 rotated pairs, those that turn fast: the first ones.
constexpr int64_t fast_pairs(int64_t head_dim) {
  return head_dim / 2 - head_dim / 4;
}

// Keys that know what stood before them (the partial key offset of modded-nanogpt, 2025; Olsson et
// al. 2022 smear keys to the same end): the slowly turning pairs of every key head are the position
// before's, so that one layer can find what followed a token. The first position keeps its own, or
// follows `past`.
at::Tensor offset_keys(const at::Tensor& qkv, const AttentionOptions& options,
                       KeyValues* past = nullptr);

}  // namespace rung
