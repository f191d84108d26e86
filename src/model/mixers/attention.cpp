// Causal multi-head attention (Vaswani et al. 2017), grouped queries (Ainslie et al. 2023), RoPE
// (Su et al. 2021) or contextual positions (Golovneva et al. 2024), windows (Beltagy et al. 2020),
// capped scores (Gemma 2), QK-norm, a norm of the mixture (BitNet 2B4T) and biases.
#include "model/mixers/attention.h"

#include "model/mixers/mixers.h"
#include "ops/cope.h"
#include "ops/linear.h"
#include "ops/mlp.h"
#include "ops/norm_linear.h"
#include "ops/stream_attention.h"

namespace rung {
namespace {

// Where each tensor stands among those of a layer; 0: absent.
struct Places {
  size_t positions = 0, q_norm = 0, k_norm = 0, qkv_bias = 0, out_bias = 0, sub_norm = 0;
};

Places places_of(const ModelConfig& m) {
  size_t next = 2;  // behind the two maps
  Places p;
  if (m.position == "cope") p.positions = next++;
  if (m.qk_norm && m.norm_gain) p.q_norm = next++, p.k_norm = next++;
  if (m.attention_bias != "none") p.qkv_bias = next++;
  if (m.attention_bias == "all") p.out_bias = next++;
  if (has_sub_gain(m)) p.sub_norm = next++;
  return p;
}

}  // namespace

std::vector<TensorSpec> describe_attention(const ModelConfig& model) {
  const int64_t dim = head_dim_of(model), inner = heads_of(model) * dim,
                shared = kv_heads_of(model) * dim;
  std::vector<TensorSpec> tensors{hidden_matrix("qkv", inner + 2 * shared, model.width),
                                  hidden_matrix("out", model.width, inner)};
  tensors[0].parts = {inner, shared, shared};
  if (model.position == "cope") {
    tensors.push_back(hidden_matrix("positions", model.cope_positions, dim));
    tensors.back().init_std_factor = 0.0;
  }
  const bool whole = model.qk_norm_over == "width";
  if (model.qk_norm && model.norm_gain) {
    tensors.push_back(vector_of(Role::gain, "q_norm", whole ? inner : dim));
    tensors.back().of_a_head = !whole;
    tensors.push_back(vector_of(Role::gain, "k_norm", whole ? shared : dim));
    tensors.back().of_a_head = !whole;
  }
  if (model.attention_bias != "none")
    tensors.push_back(vector_of(Role::bias, "qkv_bias", inner + 2 * shared));
  if (model.attention_bias == "all")
    tensors.push_back(vector_of(Role::bias, "out_bias", model.width));
  if (has_sub_gain(model)) tensors.push_back(vector_of(Role::gain, "sub_norm", inner));
  return tensors;
}

// Scores and mixture, each over the visible positions of a causal window: (T + 1) / 2 of T on
// average, less where it is shorter. CoPE's table is one of describe's matrices for the first head
// only.
double attention_flops(const ModelConfig& model, int64_t time) {
  const double t = static_cast<double>(time), w = static_cast<double>(model.window);
  const double inner = static_cast<double>(heads_of(model) * head_dim_of(model));
  double pairs = t * (t + 1.0) / 2.0;
  if (w > 0.0 && w < t) pairs -= (t - w) * (t - w + 1.0) / 2.0;
  double flops = 2.0 * 2.0 * pairs * inner;
  if (model.position == "cope")
    flops += 2.0 * t * static_cast<double>(model.cope_positions * (heads_of(model) - 1)) *
             static_cast<double>(head_dim_of(model));
  return flops;
}

AttentionOptions attention_options(const ModelConfig& model, const BlockFactors& block,
                                   int64_t window) {
  return {.heads = heads_of(model),
          .kv_heads = kv_heads_of(model),
          .head_dim = head_dim_of(model),
          .logit = block.attention_logit,
          .forward = block.attention_output.forward,
          .backward = block.attention_output.backward,
          .key_offset = model.key_offset,
          .window = window,
          .cap = model.attention_cap};
}

at::Tensor finish_qkv(const at::Tensor& qkv, std::span<const Weight> weights,
                      const ModelConfig& model, const AttentionOptions& options) {
  const Places at = places_of(model);
  const at::Tensor shifted = at.qkv_bias ? add_bias(qkv, weights[at.qkv_bias]) : qkv;
  if (!model.qk_norm) return shifted;
  const QkNormOptions norm{model.norm_epsilon, model.qk_norm_over == "width"};
  return qk_norm(shifted, options, norm, at.q_norm ? weights[at.q_norm] : Weight{},
                 at.k_norm ? weights[at.k_norm] : Weight{});
}

namespace {

// What the branch's last map reads of what was attended to.
at::Tensor read_by_map(const at::Tensor& mixed, std::span<const Weight> weights, const Pass& pass) {
  const Places at = places_of(pass.model);
  return sub_normed(mixed, at.sub_norm ? weights[at.sub_norm] : Weight{}, pass.model);
}

// From there to the branch's output.
at::Tensor finish_branch(const at::Tensor& read, std::span<const Weight> weights,
                         const Pass& pass) {
  const at::Tensor y = linear(read, weights[1]);
  const size_t bias = places_of(pass.model).out_bias;
  return bias ? add_bias(y, weights[bias]) : y;
}

}  // namespace

at::Tensor mixed_values(const at::Tensor& mapped, std::span<const Weight> weights,
                        const Pass& pass) {
  const AttentionOptions options = attention_options(pass.model, pass.block, pass.window);
  const Places at = places_of(pass.model);
  at::Tensor qkv = finish_qkv(mapped, weights, pass.model, options);
  KeyValues past;
  if (pass.state && !pass.state->empty())
    past = {(*pass.state)[0], (*pass.state)[1], (*pass.state)[2]};
  at::Tensor mixed;
  if (pass.model.position == "cope") {
    if (options.key_offset) qkv = offset_keys(qkv, options, &past);
    mixed = cope_attention(qkv, weights[at.positions], options, pass.model.cope_scaled, &past);
  } else {
    AttentionOptions last = options;
    last.overwrite = !weights[0].taps;  // a tap shows the map's output
    mixed = pass.state ? attention_after(qkv, pass.rope, options, past)
                       : attention(qkv, pass.rope, last);
  }
  if (pass.state) *pass.state = {past.k, past.v, past.own};
  return read_by_map(mixed, weights, pass);
}

namespace {

// What the branch's last map reads, from a normalised stream.
at::Tensor mixed_stream(std::span<const Weight> weights, const at::Tensor& x, const Pass& pass) {
  const ModelConfig& m = pass.model;
  if (pass.state || m.position == "cope" || m.qk_norm || places_of(m).qkv_bias)
    return mixed_values(linear(x, weights[0]), weights, pass);
  const AttentionOptions options = attention_options(m, pass.block, pass.window);
  return read_by_map(mapped_attention(x, weights[0], pass.rope, options), weights, pass);
}

}  // namespace

at::Tensor attention_forward(std::span<const Weight> weights, const at::Tensor& x,
                             const Pass& pass) {
  return finish_branch(mixed_stream(weights, x, pass), weights, pass);
}

Branched attention_from_stream(std::span<const Weight> weights, const at::Tensor& x,
                               const NormOptions& norm, const Pass& pass) {
  const size_t bias = places_of(pass.model).out_bias;
  if (!pass.mapped.defined() && !fits_norm_linear(x, weights[0], norm)) {
    if (bias || pass.state) return {};
    const ModelConfig& m = pass.model;
    const AttentionOptions options = attention_options(m, pass.block, pass.window);
    if (m.position != "cope" && !m.qk_norm && !places_of(m).qkv_bias &&
        fits_stream_attention(x, weights[0], options, norm)) {
      const auto [h, mixed] = stream_attention(x, norm, weights[0], pass.rope, options);
      return {h, read_by_map(mixed, weights, pass), weights[1]};
    }
    if (!fits_mapped_step(x, weights[1])) return {};
    const auto [h, normed] = add_norm(x, {}, {}, norm);
    return {h, mixed_stream(weights, normed, pass), weights[1]};
  }
  const auto [h, qkv] =
      pass.mapped.defined() ? std::pair(x, pass.mapped) : norm_linear(x, weights[0], norm);
  const at::Tensor mixed = mixed_values(qkv, weights, pass);
  if (bias) return {h, add_bias(linear(mixed, weights[1]), weights[bias])};
  return {h, mixed, weights[1]};
}

// With a window older keys are gone, and of offset keys only the last token's own is known.
bool forget_tokens(const ModelConfig& model, int64_t window, MixerState& state, int64_t count) {
  if (window > 0 || model.key_offset) return false;
  if (count > 0)
    for (at::Tensor* tensor : {&state[0], &state[1]})
      *tensor = tensor->narrow(2, 0, tensor->size(2) - count);
  return true;
}

}  // namespace rung
