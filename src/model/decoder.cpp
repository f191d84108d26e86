#include "model/decoder.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/matmul.h>

#include <algorithm>
#include <cmath>

#include "config/pattern.h"
#include "core/error.h"
#include "model/check_model.h"
#include "ops/cross_entropy.h"
#include "ops/linear.h"
#include "ops/norm.h"

namespace rung {

using at::Tensor;

namespace {

void append(std::vector<TensorSpec>& tensors, std::vector<TensorSpec> part,
            const std::string& prefix, int layer, double density) {
  for (TensorSpec& spec : part) {
    spec.name = prefix + spec.name;
    spec.layer = layer;
    if (spec.role == Role::hidden) {
      spec.density = density;
      spec.active *= density;
    }
    tensors.push_back(std::move(spec));
  }
}

Tensor position_ids(const Decoder& d, const Tensor& tokens, int64_t start) {
  const int64_t end = start + tokens.size(2);
  if (end > d.model.context)
    fail("[model] Learned positions reach {} tokens. Received a sequence of {}.", d.model.context,
         end);
  return at::arange(start, end, tokens.options()).expand_as(tokens).contiguous();
}

}  // namespace

BlockFactors block_factors(const RunConfig& config, int64_t vocabulary) {
  return find_parametrisation(config.parametrisation).block(config, dims_of(config, vocabulary));
}

Decoder make_decoder(const RunConfig& config, int64_t vocabulary) {
  const ModelConfig& model = config.model;
  check_model(config, vocabulary);
  Decoder d{.model = model,
            .vocabulary = vocabulary,
            .layout = {},
            .block = block_factors(config, vocabulary)};
  // Unit scaling's branch factors reach the gradient at the split, which lies before a norm.
  if (model.norm_place == "after" && d.block.residual.front().delayed)
    fail_usage(
        "[model] {} wants norms before branches. Set model.norm_place=before, or another "
        "parametrisation.",
        config.parametrisation);
  std::vector<TensorSpec> tensors;
  const auto add_norm_tensors = [&](std::vector<NormTensors>& norms, const std::string& name,
                                    int layer) {
    NormTensors norm;
    const auto vector = [&](Role role, const std::string& full) {
      tensors.push_back(vector_of(role, full, model.width));
      tensors.back().layer = layer;
      return tensors.size() - 1;
    };
    if (model.norm_gain) norm.gain = vector(Role::gain, name);
    if (model.norm_bias) norm.bias = vector(Role::bias, name + "_bias");
    norms.push_back(norm);
  };
  tensors.push_back({.name = "embedding",
                     .role = model.tied ? Role::tied : Role::embedding,
                     .shape = {vocabulary, model.width},
                     .fan_in = 1,
                     .fan_out = model.width,
                     .counts_in_N = model.tied});
  if (model.position == "learned") {
    d.positions = tensors.size();
    tensors.push_back({.name = "positions",
                       .role = Role::embedding,
                       .shape = {model.context, model.width},
                       .fan_in = 1,
                       .fan_out = model.width,
                       .counts_in_N = false});
  }
  d.windows = windows_by_layer(model);
  const bool both = model.norm_place == "both";
  const std::vector<std::string> mixer_names = mixers_by_layer(model),
                                 ffn_names = ffns_by_layer(model);
  for (int layer = 0; layer < model.depth; ++layer) {
    const std::string prefix = fmt::format("blocks.{}.", layer);
    const auto at = static_cast<size_t>(layer);
    d.mixers.push_back(&checked_part(mixers(), "mixer", mixer_names[at], config));
    d.ffns.push_back(&checked_part(ffns(), "ffn", ffn_names[at], config));
    d.branches.push_back(2 * at);
    add_norm_tensors(d.norms, prefix + "mixer_norm", layer);
    d.mixer_start.push_back(tensors.size());
    append(tensors, d.mixers.back()->describe(model), prefix + "mixer.", layer, model.density);
    if (both) add_norm_tensors(d.post_norms, prefix + "mixer_post_norm", layer);
    d.ffn_start.push_back(tensors.size());
    if (ffn_names[at] == no_ffn) continue;
    d.branches.push_back(2 * at + 1);
    add_norm_tensors(d.norms, prefix + "ffn_norm", layer);
    d.ffn_start.back() = tensors.size();
    append(tensors, d.ffns.back()->describe(model), prefix + "ffn.", layer, model.density);
    if (both) add_norm_tensors(d.post_norms, prefix + "ffn_post_norm", layer);
  }
  add_norm_tensors(d.norms, "final_norm", -1);
  if (!model.tied) {
    d.readout = tensors.size();
    tensors.push_back({.name = "readout",
                       .role = Role::readout,
                       .shape = {vocabulary, model.width},
                       .fan_in = model.width,
                       .fan_out = vocabulary});
  }
  d.layout = make_layout(std::move(tensors), find_parametrisation(config.parametrisation),
                         dims_of(config, vocabulary), config.alignment);
  return d;
}

double forward_flops(const Decoder& d, int64_t time) {
  double matrices = 0.0, extra = 0.0;
  for (const TensorSpec& spec : d.layout.tensors)
    if (spec.shape.size() == 2 && spec.counts_in_N)
      matrices += static_cast<double>(spec.size()) * spec.active;
  for (size_t layer = 0; layer < d.mixers.size(); ++layer) {
    ModelConfig own = d.model;
    own.window = d.windows[layer];
    extra += d.mixers[layer]->extra_flops(own, time) + d.ffns[layer]->extra_flops(own, time);
  }
  return 2.0 * std::round(matrices) * static_cast<double>(time) + extra;
}

namespace {

// What the branches of one pass share.
struct Run {
  const Decoder& d;
  std::span<const Weight> weights;
  const Ropes& ropes;
  Cache* cache = nullptr;
  Tensor* stream = nullptr;
  // The factor by which gradients of the mean loss exceed the truth in the residual stream.
  double loss_factor = 0.0;
  Tally* tally = nullptr;
};

// Branch b, the mixer (even) or the ffn (odd) of block b / 2, on its input.
Tensor run_branch(const Run& run, size_t b, const Tensor& x) {
  const Decoder& d = run.d;
  const size_t layer = b / 2;
  const ResidualFactor& r = d.block.residual[b];
  const Pass pass{.model = d.model,
                  .block = d.block,
                  .rope = rope_of(d, run.ropes, layer),
                  .layer = static_cast<int>(layer),
                  .window = d.windows[layer],
                  .state = run.cache ? &run.cache->layers[layer] : nullptr,
                  // Delayed factors are missing within the branch.
                  .loss_factor = r.delayed ? run.loss_factor / r.branch : run.loss_factor,
                  .tally = run.tally};
  return b % 2 == 0 ? d.mixers[layer]->forward(run.weights.subspan(d.mixer_start[layer]), x, pass)
                    : d.ffns[layer]->forward(run.weights.subspan(d.ffn_start[layer]), x, pass);
}

Weight gain_of(const Run& run, const NormTensors& norm) {
  return norm.gain ? run.weights[norm.gain] : Weight{};
}

Tensor with_bias(const Run& run, const NormTensors& norm, const Tensor& y) {
  return norm.bias ? add_bias(y, run.weights[norm.bias]) : y;
}

NormOptions norm_options(const ModelConfig& model) {
  return {.epsilon = model.norm_epsilon, .center = model.norm == "layernorm"};
}

Tensor run_norm(const Run& run, const NormTensors& tensors, const Tensor& x) {
  return with_bias(run, tensors, norm(x, gain_of(run, tensors), norm_options(run.d.model)));
}

// h = skip h + branch f(norm(h)), or branch norm(f(norm(h))) (Gemma 2), and a final norm.
Tensor norm_before(const Run& run, Tensor h) {
  const Decoder& d = run.d;
  Tensor y, branch;
  const size_t count = d.branches.size();
  for (size_t i = 0; i <= count; ++i) {
    NormOptions options = norm_options(d.model);
    if (i < count && d.block.residual[d.branches[i]].delayed)
      options.input_gradient = d.block.residual[d.branches[i]].branch;
    const Weight gain = gain_of(run, d.norms[i]);
    if (i == 0) {
      y = norm(h, gain, options);
    } else {
      const ResidualFactor& r = d.block.residual[d.branches[i - 1]];
      options.skip = r.skip;
      options.branch = r.branch;
      options.branch_gradient = r.delayed ? 1.0 : r.branch;
      std::tie(h, y) = add_norm(h, branch, gain, options);
    }
    y = with_bias(run, d.norms[i], y);
    if (i == count) break;
    branch = run_branch(run, d.branches[i], y);
    if (!d.post_norms.empty()) branch = run_norm(run, d.post_norms[i], branch);
  }
  if (run.stream) *run.stream = h;
  return y;
}

// Res-post-LN (Liu et al. 2022, arXiv 2111.09883; OLMo 2): h = skip h + branch norm(f(h)), and a
// final norm.
Tensor norm_after(const Run& run, Tensor h) {
  const Decoder& d = run.d;
  const size_t count = d.branches.size();
  for (size_t i = 0; i < count; ++i) {
    const ResidualFactor& r = d.block.residual[d.branches[i]];
    const Tensor f = run_norm(run, d.norms[i], run_branch(run, d.branches[i], h));
    h = h * r.skip + f * r.branch;
  }
  if (run.stream) *run.stream = h;
  return run_norm(run, d.norms[count], h);
}

}  // namespace

Ropes make_ropes(const ModelConfig& m, int64_t time, const at::TensorOptions& options,
                 int64_t start) {
  if (m.position != "rope") return {};
  const auto made = [&](const RopeOptions& rope) {
    return make_rope(time, head_dim_of(m), options, rope, start);
  };
  RopeOptions scaled{.theta = m.rope_theta, .low = m.rope_low, .high = m.rope_high};
  if (m.rope_scaling != "none") scaled.factor = m.rope_factor;
  if (m.rope_scaling == "llama3") scaled.original = m.rope_original;
  const Rope global = made(scaled);
  return {global, m.rope_theta_local > 0.0 ? made({.theta = m.rope_theta_local}) : global};
}

const Rope& rope_of(const Decoder& d, const Ropes& ropes, size_t layer) {
  return d.windows[layer] > 0 ? ropes.local : ropes.global;
}

bool is_recurrent(const Decoder& d) {
  return !d.positions && std::all_of(d.mixers.begin(), d.mixers.end(),
                                     [](const Part* part) { return part->recurrent; });
}

namespace {

Tensor run_all(const Run& run, const Tensor& tokens) {
  const Decoder& d = run.d;
  Cache* cache = run.cache;
  if (cache) cache->layers.resize(d.mixers.size());
  Weight table = run.weights[0];
  if (d.model.tied) table.A = table.A_weight = 1.0;  // the factors of the tensor are the readout's
  table.A *= d.block.embedding;
  table.A_weight *= d.block.embedding;
  Tensor h = embedding(tokens, table);
  if (d.positions)
    h = h + embedding(position_ids(d, tokens, cache ? cache->time : 0), run.weights[d.positions]);
  const Tensor y = d.model.norm_place == "after" ? norm_after(run, h) : norm_before(run, h);
  if (cache) cache->time += tokens.size(2);
  return y;
}

}  // namespace

Tensor hidden_states(const Decoder& d, std::span<const Weight> weights, const Tensor& tokens,
                     const Ropes& ropes, Cache* cache, Tensor* stream) {
  return run_all({.d = d, .weights = weights, .ropes = ropes, .cache = cache, .stream = stream},
                 tokens);
}

Tensor token_losses(const Decoder& d, std::span<const Weight> weights, const Tensor& tokens,
                    const Tensor& targets, const Ropes& ropes, double gradient_scale,
                    Tally* tally) {
  const Weight& readout = weights[d.readout];
  const double gradient = d.block.loss_gradient * gradient_scale;
  // Where the readout's backward multiplier is not its forward one, the stream's gradient is off
  // by their ratio.
  const double own = static_cast<double>(tokens.size(1) * tokens.size(2));
  const Tensor y = run_all({.d = d,
                            .weights = weights,
                            .ropes = ropes,
                            .loss_factor = gradient * own * readout.A_input / readout.A,
                            .tally = tally},
                           tokens);
  return linear_cross_entropy(
      y, readout, targets,
      {.logit = d.block.loss_logit, .gradient = gradient, .cap = d.model.logit_cap});
}

Tensor token_logits(const Decoder& d, std::span<const Weight> weights, const Tensor& tokens,
                    const Ropes& ropes, Cache* cache) {
  at::NoGradGuard off;
  const Tensor y = hidden_states(d, weights, tokens, ropes, cache);
  const Weight& readout = weights[d.readout];
  const Tensor flat = y.view({y.size(0), y.size(1) * y.size(2), y.size(3)});
  Tensor logits =
      at::matmul(flat, readout.value.transpose(1, 2)) * (readout.A * d.block.loss_logit);
  if (d.model.logit_cap > 0.0) logits.div_(d.model.logit_cap).tanh_().mul_(d.model.logit_cap);
  return logits.view({y.size(0), y.size(1), y.size(2), d.vocabulary});
}

}  // namespace rung
