// Causal multi-head attention (Vaswani et al. 2017), grouped queries (Ainslie et al. 2023), RoPE
// (Su et al. 2021) or contextual positions (Golovneva et al. 2024).
#include "model/mixers/mixers.h"
#include "ops/cope.h"
#include "ops/linear.h"

namespace rung {

std::vector<TensorSpec> describe_attention(const ModelConfig& model) {
  const int64_t dim = head_dim_of(model), inner = heads_of(model) * dim;
  std::vector<TensorSpec> tensors{
      hidden_matrix("qkv", inner + 2 * kv_heads_of(model) * dim, model.width),
      hidden_matrix("out", model.width, inner)};
  if (model.position == "cope") {
    tensors.push_back(hidden_matrix("positions", model.cope_positions, dim));
    tensors.back().init_std_factor = 0.0;
  }
  return tensors;
}

// Scores and mixture, each over the (T + 1) / 2 visible positions of a causal window. CoPE's table
// is one of describe's matrices for the first head only.
double attention_flops(const ModelConfig& model, int64_t time) {
  const double t = static_cast<double>(time);
  const double inner = static_cast<double>(heads_of(model) * head_dim_of(model));
  double flops = 2.0 * 2.0 * t * (t + 1.0) / 2.0 * inner;
  if (model.position == "cope")
    flops += 2.0 * t * static_cast<double>(model.cope_positions * (heads_of(model) - 1)) *
             static_cast<double>(head_dim_of(model));
  return flops;
}

at::Tensor attention_forward(std::span<const Weight> weights, const at::Tensor& x,
                             const Pass& pass) {
  const AttentionOptions options{.heads = heads_of(pass.model),
                                 .kv_heads = kv_heads_of(pass.model),
                                 .head_dim = head_dim_of(pass.model),
                                 .logit = pass.block.attention_logit,
                                 .forward = pass.block.attention_output.forward,
                                 .backward = pass.block.attention_output.backward,
                                 .key_offset = pass.model.key_offset};
  at::Tensor qkv = linear(x, weights[0]);
  if (pass.model.qk_norm) qkv = qk_norm(qkv, options);
  KeyValues past;
  if (pass.state && !pass.state->empty())
    past = {(*pass.state)[0], (*pass.state)[1], (*pass.state)[2]};
  at::Tensor mixed;
  if (pass.model.position == "cope") {
    if (options.key_offset) qkv = offset_keys(qkv, options, &past);
    mixed = cope_attention(qkv, weights[2], options, pass.model.cope_scaled, &past);
  } else {
    mixed = pass.state ? attention_after(qkv, pass.rope, options, past)
                       : attention(qkv, pass.rope, options);
  }
  if (pass.state) *pass.state = {past.k, past.v, past.own};
  return linear(mixed, weights[1]);
}

}  // namespace rung
