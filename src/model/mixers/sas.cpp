// Simplified attention sub-block, SAS (He & Hofmann 2024, arXiv 2311.01906): shaped attention (Noci
// et al. 2023) in place of a branch and its skip, with values and output map that are the identity.
// For head h and its units x_h,
//   out_h = (alpha_h I + beta_h A_h - gamma_h C) v_h,   A_h = softmax(causal q_h k_h^T),
//   C_ts = 1 / t for s <= t, the mean over the positions so far;   v = x,   y = out
// alpha = beta = gamma = 1 and W_Q = 0 at the start, where A = C: the sub-block starts as the
// identity. In sas-v v = x + V x, in sas-vp also y = out + P out, with V and P 0 at the start.
#include "core/error.h"
#include "model/channels.h"
#include "model/mixers/attention.h"
#include "model/mixers/mixers.h"
#include "ops/linear.h"
#include "ops/packed_linear.h"
#include "ops/shaped_sum.h"

namespace rung {
namespace {

using at::Tensor;

// In the order of describe_sas.
enum Index : size_t { query, key, alpha, beta, gamma, value, out };

}  // namespace

void check_sas(const ModelConfig& m) {
  const auto lacks = [](const char* what, const char* key) {
    fail_usage("[sas] Its values are the stream's own units: {}. Received another {}.", what, key);
  };
  if (kv_heads_of(m) != heads_of(m)) lacks("every head has its own", "model.kv_heads");
  if (m.window > 0) lacks("their mean is over all positions before", "model.window");
  if (m.position == "cope") lacks("no biases of positions are known", "model.position");
  if (m.attention_bias != "none") lacks("no biases are known", "model.attention_bias");
  if (m.qk_norm) lacks("queries start at 0, where no norm is defined", "model.qk_norm");
}

template <bool values, bool projection>
std::vector<TensorSpec> describe_sas(const ModelConfig& m) {
  const auto zero_map = [&](const char* name) {
    TensorSpec map = hidden_matrix(name, m.width, m.width);
    map.init_std_factor = 0.0;
    return map;
  };
  const auto gain = [&](const char* name) {
    return per_channel(name, {heads_of(m)}, 1, start_one, false);
  };
  std::vector<TensorSpec> tensors{zero_map("query"), hidden_matrix("key", m.width, m.width),
                                  gain("alpha"), gain("beta"), gain("gamma")};
  if (values) tensors.push_back(zero_map("value"));
  if (projection) tensors.push_back(zero_map("out"));
  return tensors;
}

template <bool values, bool projection>
Tensor sas_forward(std::span<const Weight> weights, const Tensor& x, const Pass& pass) {
  const AttentionOptions options = attention_options(pass.model, pass.block, 0);
  const Tensor v = values ? x + linear(x, weights[value]) : x;
  const Tensor qkv = packed_linears(x, {weights[query], weights[key]}, v);
  KeyValues past;
  if (pass.state && !pass.state->empty())
    past = {(*pass.state)[0], (*pass.state)[1], (*pass.state)[2]};
  const Tensor before = past.v;  // generation alone has any, and then adds its own
  const Tensor mixed = pass.state ? attention_after(qkv, pass.rope, options, past)
                                  : attention(qkv, pass.rope, options);
  if (pass.state) *pass.state = {past.k, past.v, past.own};
  const Tensor y = shaped_sum(v, mixed, {weights[alpha], weights[beta], weights[gamma]}, before);
  return projection ? y + linear(y, weights[out]) : y;
}

template std::vector<TensorSpec> describe_sas<false, false>(const ModelConfig&);
template std::vector<TensorSpec> describe_sas<true, false>(const ModelConfig&);
template std::vector<TensorSpec> describe_sas<true, true>(const ModelConfig&);
template Tensor sas_forward<false, false>(std::span<const Weight>, const Tensor&, const Pass&);
template Tensor sas_forward<true, false>(std::span<const Weight>, const Tensor&, const Pass&);
template Tensor sas_forward<true, true>(std::span<const Weight>, const Tensor&, const Pass&);

}  // namespace rung
