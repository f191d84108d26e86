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

// Branch b: the mixer (even) or the ffn (odd) of block b / 2.
struct Branch {
  const Part& part;
  std::span<const Weight> weights;
  const ResidualFactor& residual;
  Pass pass;
};
Branch branch_of(const Run& run, size_t b) {
  const Decoder& d = run.d;
  const bool mixes = b % 2 == 0;
  const size_t layer = b / 2, start = mixes ? d.mixer_start[layer] : d.ffn_start[layer];
  const ResidualFactor& r = d.block.residual[b];
  return {.part = mixes ? *d.mixers[layer] : *d.ffns[layer],
          .weights = run.weights.subspan(start),
          .residual = r,
          .pass = {.model = d.model,
                   .block = d.block,
                   .rope = rope_of(d, run.ropes, layer),
                   .layer = static_cast<int>(layer),
                   .window = d.windows[layer],
                   .state = run.cache ? &run.cache->layers[layer] : nullptr,
                   .shared = shared_of(run, layer),
                   // Delayed factors are missing within the branch.
                   .loss_factor = r.delayed ? run.loss_factor / r.branch : run.loss_factor,
                   .tally = run.tally}};
}

// Whether branch b is a mixer whose states have to be kept.
bool goes_step_by_step(const Run& run, size_t b) {
  return b % 2 == 0 && run.cache && run.cache->revertible > 0 && !lists_tokens(run.d, b / 2);
}

// Branch b on its input.
Tensor run_branch(const Run& run, size_t b, const Tensor& x) {
  const Branch branch = branch_of(run, b);
  if (goes_step_by_step(run, b))
    return step_by_step(branch.part, branch.weights, x, branch.pass, *run.cache);
  const Tensor y = branch.part.forward(branch.weights, x, branch.pass);
  const size_t gain = b % 2 == 1 ? run.d.ffn_gain[b / 2] : 0;
  return gain ? y * multiplied(run.weights[gain]).view({x.size(0), 1, 1, 1}) : y;
}

// A branch's factor on the gradient that enters it.
double branch_gradient_of(const ResidualFactor& r) {
  return r.delayed ? 1.0 : r.branch;
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

// Of the norm before the range's branch i (its end: the final norm), and of the addition of the
// branch before it.
NormOptions options_at(const Run& run, BranchRange range, size_t i) {
  const Decoder& d = run.d;
  NormOptions options = norm_options(d.model);
  if (i < range.end && d.block.residual[d.branches[i]].delayed)
    options.input_gradient = d.block.residual[d.branches[i]].branch;
  if (i == range.begin) return options;
  const ResidualFactor& r = d.block.residual[d.branches[i - 1]];
  options.skip = r.skip;
  options.branch = r.branch;
  options.branch_gradient = branch_gradient_of(r);
  return options;
}

// Branch i through an op that does more than its part's forward, where the part has one for these
// tensors: all of the stream's step, or the norm with the first map, if h is the whole stream.
// `pending` is the branch that is not yet in h, or undefined. Returns false, and changes nothing,
// where there is no such op.
bool run_fused(const Run& run, size_t i, const NormOptions& options, Tensor& h, Tensor& pending) {
  const Decoder& d = run.d;
  const NormTensors& norm = d.norms[i];
  if (run.stream) return false;  // it is looked at before each branch
  if (norm.gain || norm.bias || !d.post_norms.empty()) return false;
  if (d.branches[i] % 2 == 1 && d.ffn_gain[d.branches[i] / 2]) return false;  // it knows no gain
  if (goes_step_by_step(run, d.branches[i])) return false;
  const auto [part, weights, residual, pass] = branch_of(run, d.branches[i]);
  if (part.step) {
    const ResidualStep step{.norm = options,
                            .skip = residual.skip,
                            .branch = residual.branch,
                            .branch_gradient = branch_gradient_of(residual)};
    if (const Tensor next = part.step(weights, h, pending, step, pass); next.defined()) {
      h = next;
      pending = Tensor();
      return true;
    }
  }
  if (!part.from_stream || pending.defined()) return false;
  const auto [stream, branch] = part.from_stream(weights, h, options, pass);
  if (!branch.defined()) return false;
  h = stream;
  pending = branch;
  return true;
}

// The stream h before the i-th of all branches, or behind a range.
Tensor seen(const Run& run, BranchRange range, size_t i, const Tensor& h) {
  if (!run.stream || (i == range.end && range.begin != run.d.path.begin)) return h;
  return watched(h, i == range.end ? run.stream->back() : (*run.stream)[i]);
}

// The stream with the pending branch in it, and its norm. Where the stream is looked at these are
// two ops: the fused one shows the gradient of h by the skip path alone.
std::pair<Tensor, Tensor> sum_and_norm(const Run& run, BranchRange range, size_t i, const Tensor& h,
                                       const Tensor& branch, const NormOptions& options) {
  const Weight gain = gain_of(run, i == range.end ? run.d.norms.back() : run.d.norms[i]);
  if (!run.stream) return add_norm(h, branch, gain, options);
  const Tensor sum = seen(run, range, i, branch.defined() ? add_branch(h, branch, options) : h);
  return {sum, norm(sum, gain, options)};
}

// h = skip h + branch f(norm(h)), or branch norm(f(norm(h))) (Gemma 2), and a final norm.
Hidden norm_before(const Run& run, BranchRange range, Tensor h, const Fork& fork) {
  const Decoder& d = run.d;
  Tensor y, branch;  // the branch is not yet in h
  for (size_t i = range.begin; i < range.end; ++i) {
    const bool forks = fork && i == d.fork;
    const NormOptions options = options_at(run, range, i);
    if (!forks && run_fused(run, i, options, h, branch)) continue;
    std::tie(h, y) = sum_and_norm(run, range, i, h, branch, options);
    if (forks) h = fork(h);
    branch = run_branch(run, d.branches[i], with_bias(run, d.norms[i], y));
    if (!d.post_norms.empty()) branch = run_norm(run, d.post_norms[i], branch);
  }
  std::tie(h, y) =
      sum_and_norm(run, range, range.end, h, branch, options_at(run, range, range.end));
  return {h, with_bias(run, d.norms.back(), y)};
}

// Res-post-LN (Liu et al. 2022, arXiv 2111.09883; OLMo 2): h = skip h + branch norm(f(h)), and a
// final norm.
Hidden norm_after(const Run& run, BranchRange range, Tensor h, const Fork& fork) {
  const Decoder& d = run.d;
  for (size_t i = range.begin; i < range.end; ++i) {
    h = seen(run, range, i, h);
    if (fork && i == d.fork) h = fork(h);
    const ResidualFactor& r = d.block.residual[d.branches[i]];
    const Tensor f = run_norm(run, d.norms[i], run_branch(run, d.branches[i], h));
    h = h * r.skip + f * r.branch;
  }
  h = seen(run, range, range.end, h);
  return {h, run_norm(run, d.norms.back(), h)};
}

// Norms where they are, each before its branch: x = norm(h) or h, h = skip h + branch f(x). In a
// parallel block (Wang & Komatsuzaki 2021) the ffn reads the mixer's x: with both skips
// h + f(x) + g(x), and f(x) + g(x) behind a mixer without one (SAS-P).
Hidden norm_where_there(const Run& run, BranchRange range, Tensor h, const Fork& fork) {
  const Decoder& d = run.d;
  Tensor x;
  for (size_t i = range.begin; i < range.end; ++i) {
    h = seen(run, range, i, h);
    if (fork && i == d.fork) h = fork(h);
    const size_t b = d.branches[i];
    if (!d.model.parallel || b % 2 == 0) x = d.norms[i].there ? run_norm(run, d.norms[i], h) : h;
    const ResidualFactor& r = d.block.residual[b];
    const Tensor f = run_branch(run, b, x) * r.branch;
    h = r.skip == 0.0 ? f : h * r.skip + f;
  }
  h = seen(run, range, range.end, h);
  return {h, run_norm(run, d.norms.back(), h)};
}

}  // namespace

Hidden run_branches(const Run& run, BranchRange range, Tensor h, const Fork& fork) {
  const ModelConfig& m = run.d.model;
  if (m.norm_place == "after") return norm_after(run, range, std::move(h), fork);
  if (m.norm_place == "none" || m.parallel) return norm_where_there(run, range, std::move(h), fork);
  return norm_before(run, range, std::move(h), fork);
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
