#include "model/blocks.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>

#include "config/pattern.h"
#include "core/error.h"
#include "ops/linear.h"
#include "ops/norm.h"

namespace rung {

using at::Tensor;

namespace {

Tensor position_ids(const Decoder& d, const Tensor& tokens, int64_t start) {
  const int64_t end = start + tokens.size(2);
  if (end > d.model.context)
    fail("[model] Learned positions reach {} tokens. Received a sequence of {}.", d.model.context,
         end);
  return at::arange(start, end, tokens.options()).expand_as(tokens).contiguous();
}

}  // namespace

Tensor embed(const Run& run, const Tensor& tokens) {
  const Decoder& d = run.d;
  Weight table = run.weights[0];
  if (d.model.tied) table.A = table.A_weight = 1.0;  // the factors of the tensor are the readout's
  table.A *= d.block.embedding;
  table.A_weight *= d.block.embedding;
  const Tensor h = embedding(tokens, table);
  if (!d.positions) return h;
  const int64_t start = run.cache ? run.cache->time : 0;
  return h + embedding(position_ids(d, tokens, start), run.weights[d.positions]);
}

Rope part_of(const Rope& rope, int64_t start, int64_t count) {
  if (!rope.cosine.defined()) return rope;
  return {rope.cosine.narrow(0, start, count), rope.sine.narrow(0, start, count)};
}

namespace {

// A mixer token by token over the last `revertible` tokens, with a copy of its state before and
// after each: states are values, which no mixer changes in place.
Tensor step_by_step(const Part& mixer, std::span<const Weight> weights, const Tensor& x,
                    const Pass& pass, Cache& cache) {
  std::vector<MixerState>& steps = cache.steps[static_cast<size_t>(pass.layer)];
  std::vector<Tensor> pieces;
  steps.clear();
  for (int64_t at = 0; at < x.size(2);) {
    const int64_t count = at == 0 ? x.size(2) - cache.revertible : 1;
    const Rope rope = part_of(pass.rope, at, count);
    const Pass own{.model = pass.model,
                   .block = pass.block,
                   .rope = rope,
                   .layer = pass.layer,
                   .window = pass.window,
                   .state = pass.state,
                   .shared = pass.shared};
    pieces.push_back(mixer.forward(weights, x.narrow(2, at, count).contiguous(), own));
    steps.push_back(*pass.state);
    at += count;
  }
  return at::cat(pieces, 2);
}

bool lists_tokens(const Decoder& d, size_t layer) {
  MixerState none;
  const Part& mixer = *d.mixers[layer];
  return mixer.forget && mixer.forget(d.model, d.windows[layer], none, 0);
}

std::span<const Weight> shared_of(const Run& run, size_t layer) {
  const size_t start = run.d.shared_start[layer];
  return start ? run.weights.subspan(start) : std::span<const Weight>();
}

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
                  .shared = shared_of(run, layer),
                  // Delayed factors are missing within the branch.
                  .loss_factor = r.delayed ? run.loss_factor / r.branch : run.loss_factor,
                  .tally = run.tally};
  if (b % 2 == 1) return d.ffns[layer]->forward(run.weights.subspan(d.ffn_start[layer]), x, pass);
  const Part& mixer = *d.mixers[layer];
  const std::span<const Weight> weights = run.weights.subspan(d.mixer_start[layer]);
  if (run.cache && run.cache->revertible > 0 && !lists_tokens(d, layer))
    return step_by_step(mixer, weights, x, pass, *run.cache);
  return mixer.forward(weights, x, pass);
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
Hidden norm_before(const Run& run, BranchRange range, Tensor h, const Fork& fork) {
  const Decoder& d = run.d;
  Tensor y, branch;
  for (size_t i = range.begin; i <= range.end; ++i) {
    const bool last = i == range.end;
    NormOptions options = norm_options(d.model);
    if (!last && d.block.residual[d.branches[i]].delayed)
      options.input_gradient = d.block.residual[d.branches[i]].branch;
    const NormTensors& tensors = last ? d.norms.back() : d.norms[i];
    const Weight gain = gain_of(run, tensors);
    const bool forks = fork && i == d.fork;
    if (i == range.begin) {
      if (forks) h = fork(h);
      y = norm(h, gain, options);
    } else {
      const ResidualFactor& r = d.block.residual[d.branches[i - 1]];
      options.skip = r.skip;
      options.branch = r.branch;
      options.branch_gradient = r.delayed ? 1.0 : r.branch;
      std::tie(h, y) = add_norm(h, branch, gain, options);
      if (forks) h = fork(h);
    }
    y = with_bias(run, tensors, y);
    if (last) break;
    branch = run_branch(run, d.branches[i], y);
    if (!d.post_norms.empty()) branch = run_norm(run, d.post_norms[i], branch);
  }
  return {h, y};
}

// Res-post-LN (Liu et al. 2022, arXiv 2111.09883; OLMo 2): h = skip h + branch norm(f(h)), and a
// final norm.
Hidden norm_after(const Run& run, BranchRange range, Tensor h, const Fork& fork) {
  const Decoder& d = run.d;
  for (size_t i = range.begin; i < range.end; ++i) {
    if (fork && i == d.fork) h = fork(h);
    const ResidualFactor& r = d.block.residual[d.branches[i]];
    const Tensor f = run_norm(run, d.norms[i], run_branch(run, d.branches[i], h));
    h = h * r.skip + f * r.branch;
  }
  return {h, run_norm(run, d.norms.back(), h)};
}

}  // namespace

Hidden run_branches(const Run& run, BranchRange range, Tensor h, const Fork& fork) {
  return run.d.model.norm_place == "after" ? norm_after(run, range, std::move(h), fork)
                                           : norm_before(run, range, std::move(h), fork);
}

Hidden run_path(const Run& run, const Tensor& tokens, const Fork& fork) {
  Cache* cache = run.cache;
  if (cache) {
    cache->layers.resize(run.d.mixers.size());
    cache->steps.resize(run.d.mixers.size());
  }
  const Hidden hidden = run_branches(run, run.d.path, embed(run, tokens), fork);
  if (cache) cache->time += tokens.size(2);
  return hidden;
}

void rewind(const Decoder& d, Cache& cache, int64_t count) {
  if (count == 0) return;
  for (size_t layer = 0; layer < static_cast<size_t>(path_depth(d.model)); ++layer) {
    if (lists_tokens(d, layer))
      d.mixers[layer]->forget(d.model, d.windows[layer], cache.layers[layer], count);
    else
      cache.layers[layer] = cache.steps[layer][static_cast<size_t>(cache.revertible - count)];
  }
  cache.time -= count;
}

}  // namespace rung
