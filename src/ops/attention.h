// Causal softmax attention over packed queries, keys and values, with rotary positions.
#pragma once
#include <ATen/core/Tensor.h>

namespace rung {

struct AttentionOptions {
  int64_t heads = 1, kv_heads = 1, head_dim = 1;
  double logit = 1.0;       // multiplies q.k
  double forward = 1.0;     // multiplies the output
  double backward = 1.0;    // multiplies the gradients of q, k and v
  bool key_offset = false;  // as offset_keys
};

// Keys (rotated) and values of the tokens before, [P, B, T, kv_heads, head_dim], and the last
// token's key as it came, for offset keys; undefined: none.
struct KeyValues {
  at::Tensor k, v, own;
};

// cos and sin of position * theta^(-2 d / head_dim), each [T, head_dim / 2], from `start` on.
struct Rope {
  at::Tensor cosine, sine;  // undefined: no rotation
};
Rope make_rope(int64_t time, int64_t head_dim, const at::TensorOptions& options,
               double theta = 10000.0, int64_t start = 0);

// qkv [P, B, T, (heads + 2 kv_heads) head_dim] = [q | k | v] -> [P, B, T, heads head_dim].
at::Tensor attention(const at::Tensor& qkv, const Rope& rope, const AttentionOptions& options);
at::Tensor attention_plain(const at::Tensor& qkv, const Rope& rope,
                           const AttentionOptions& options);

// attention of tokens that follow `past`, to which their own keys and values are added; `rope` is
// of their positions.
at::Tensor attention_after(const at::Tensor& qkv, const Rope& rope, const AttentionOptions& options,
                           KeyValues& past);
// Appends k and v along the time axis.
void append(KeyValues& past, const at::Tensor& k, const at::Tensor& v);
// The scores before the softmax, logit q.k with rotated heads, for all pairs of positions: [P, B,
// heads, T, T].
at::Tensor attention_scores(const at::Tensor& qkv, const Rope& rope,
                            const AttentionOptions& options);

// The heads of packed qkv, each [P, B, T, heads, head_dim].
struct Heads {
  at::Tensor q, k, v;
};
Heads split_heads(const at::Tensor& qkv, const AttentionOptions& options);

// RMS-normalises every query and key head of packed qkv (no gain).
at::Tensor qk_norm(const at::Tensor& qkv, const AttentionOptions& options);

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
