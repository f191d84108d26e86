#include "model/blocks.h"

#include <ATen/ops/arange.h>

#include "core/error.h"
#include "model/branch.h"
#include "ops/custom.h"
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
  options.skip = r.skip == 0.0 ? 1.0 : r.skip;  // without a skip the branch is the stream already
  options.branch = r.branch;
  options.branch_gradient = branch_gradient_of(r);
  return options;
}

// What branches hand on: the stream h, a branch that is not yet in h (or undefined), what that is
// still to be multiplied by (or undefined), and what a parallel block's branches read.
struct Stream {
  Tensor h, pending = {};
  Weight map = {};
  Tensor x = {};
  // The next branch's first map of norm(h), or behind the last branch norm(h), if made already.
  Tensor mapped = {};

  // The pending branch as it is added.
  void finish() {
    if (map.value.defined()) pending = linear(pending, map);
    map = {};
  }
};

// The map that the branch behind i begins with, where a step through branch i may take it along:
// between two blocks of which nobody keeps or looks at anything.
Weight next_map(const Run& run, BranchRange range, size_t i, const Fork& fork) {
  const Decoder& d = run.d;
  const size_t next = i + 1;
  if (next == range.end || (fork && next == d.fork)) return {};
  if (d.recompute > 0 || run.cache || run.tally || d.norms[next].gain || d.norms[next].bias ||
      goes_step_by_step(run, d.branches[next]))
    return {};
  const auto [part, weights, residual, pass] = branch_of(run, d.branches[next]);
  return part.from_stream && part.first_map ? part.first_map(weights) : Weight{};
}

// Whether a step through branch i may take the final norm along, which nobody else looks at.
bool ends_in_norm(const Run& run, BranchRange range, size_t i) {
  const Decoder& d = run.d;
  return i + 1 == range.end && d.recompute == 0 && !run.cache && !run.tally &&
         !d.norms.back().gain && !d.norms.back().bias;
}

// Branch i through an op that does more than its part's forward, where the part has one for these
// tensors: all of the stream's step, or the norm with the first map, if h is the whole stream.
// Returns false, and changes nothing, where there is no such op.
bool run_fused(const Run& run, BranchRange range, size_t i, const NormOptions& options, Stream& s,
               const Fork& fork) {
  const Decoder& d = run.d;
  const NormTensors& norm = d.norms[i];
  if (run.stream) return false;  // it is looked at before each branch
  if (norm.gain || norm.bias || !d.post_norms.empty()) return false;
  if (d.branches[i] % 2 == 1 && d.ffn_gain[d.branches[i] / 2]) return false;  // it knows no gain
  if (goes_step_by_step(run, d.branches[i])) return false;
  auto [part, weights, residual, pass] = branch_of(run, d.branches[i]);
  pass.mapped = s.mapped;
  if (part.step) {
    const Weight next = next_map(run, range, i, fork);
    const bool ends = ends_in_norm(run, range, i);
    const ResidualStep step{
        .norm = options,
        .skip = residual.skip,
        .branch = residual.branch,
        .branch_gradient = branch_gradient_of(residual),
        .map = s.map,
        .next = next,
        .next_norm = next.value.defined() || ends ? options_at(run, range, i + 1) : NormOptions{},
        .next_alone = ends};
    if (const Stepped out = part.step(weights, s.h, s.pending, step, pass); out.stream.defined()) {
      s = {.h = out.stream, .mapped = out.mapped};
      return true;
    }
  }
  if (!part.from_stream || s.pending.defined()) return false;
  const auto [stream, branch, map] = part.from_stream(weights, s.h, options, pass);
  if (!branch.defined()) return false;
  s = {.h = stream, .pending = branch, .map = map};
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

// Without a pass where there is nothing to multiply.
Tensor times(const Tensor& x, double factor) {
  return factor == 1.0 ? x : x * factor;
}

// h = skip h + branch f(norm(h)), or branch norm(f(norm(h))) (Gemma 2).
void norm_before(const Run& run, BranchRange range, size_t i, Stream& s, const Fork& fork) {
  const Decoder& d = run.d;
  const bool forks = fork && i == d.fork;
  const NormOptions options = options_at(run, range, i);
  if (!forks && run_fused(run, range, i, options, s, fork)) return;
  s.finish();
  Tensor y;
  std::tie(s.h, y) = sum_and_norm(run, range, i, s.h, s.pending, options);
  s.pending = Tensor();  // not held while the next branch is at work
  if (forks) s.h = fork(s.h);
  s.pending = run_branch(run, d.branches[i], with_bias(run, d.norms[i], y));
  if (!d.post_norms.empty()) s.pending = run_norm(run, d.post_norms[i], s.pending);
  const ResidualFactor& r = d.block.residual[d.branches[i]];
  if (r.skip == 0.0) s = {.h = times(s.pending, r.branch)};
}

// Res-post-LN (Liu et al. 2022, arXiv 2111.09883; OLMo 2): h = skip h + branch norm(f(h)).
void norm_after(const Run& run, BranchRange range, size_t i, Stream& s, const Fork& fork) {
  const Decoder& d = run.d;
  s.h = seen(run, range, i, s.h);
  if (fork && i == d.fork) s.h = fork(s.h);
  const ResidualFactor& r = d.block.residual[d.branches[i]];
  const Tensor f = run_norm(run, d.norms[i], run_branch(run, d.branches[i], s.h));
  s.h = times(s.h, r.skip) + times(f, r.branch);
}

// Norms where they are, each before its branch: x = norm(h) or h, h = skip h + branch f(x). In a
// parallel block (Wang & Komatsuzaki 2021) the ffn reads the mixer's x: with both skips
// h + f(x) + g(x), and f(x) + g(x) behind a mixer without one (SAS-P).
void norm_where_there(const Run& run, BranchRange range, size_t i, Stream& s, const Fork& fork) {
  const Decoder& d = run.d;
  s.h = seen(run, range, i, s.h);
  if (fork && i == d.fork) s.h = fork(s.h);
  const size_t b = d.branches[i];
  if (!d.model.parallel || b % 2 == 0)
    s.x = d.norms[i].there ? run_norm(run, d.norms[i], s.h) : s.h;
  const ResidualFactor& r = d.block.residual[b];
  const Tensor f = times(run_branch(run, b, s.x), r.branch);
  s.h = r.skip == 0.0 ? f : times(s.h, r.skip) + f;
}

using Step = void (*)(const Run&, BranchRange, size_t i, Stream&, const Fork&);

Step step_of(const ModelConfig& m) {
  if (m.norm_place == "after") return norm_after;
  return m.norm_place == "none" || m.parallel ? norm_where_there : norm_before;
}

// Whether the block of branch i keeps its inputs alone and runs anew in the backward pass. Not
// where something looks on, or heads begin, which have their backward pass at once.
bool is_recomputed(const Run& run, size_t i, size_t end, const Fork& fork) {
  const Decoder& d = run.d;
  if (d.recompute == 0 || !recording() || run.stream || run.tally || run.cache) return false;
  if (run.weights.front().taps || (fork && i <= d.fork && d.fork < end)) return false;
  return d.branches[i] / 2 % static_cast<size_t>(d.recompute) == 0;
}

// Branches i to end, one block.
void run_block(const Run& run, BranchRange range, size_t i, size_t end, Stream& s,
               const Fork& fork) {
  const Step step = step_of(run.d.model);
  if (!is_recomputed(run, i, end, fork)) {
    for (; i < end; ++i) step(run, range, i, s, fork);
    return;
  }
  s.finish();
  const std::vector<Tensor> out =
      recomputed_with_weights({s.h, s.pending}, [=](const std::vector<Tensor>& in) {
        Stream own{.h = in[0], .pending = in[1]};
        for (size_t k = i; k < end; ++k) step(run, range, k, own, {});
        own.finish();
        return std::vector<Tensor>{own.h, own.pending};
      });
  s = {.h = out[0], .pending = out[1]};
}

}  // namespace

Hidden run_branches(const Run& run, BranchRange range, Tensor h, const Fork& fork) {
  const Decoder& d = run.d;
  Stream s{.h = std::move(h)};
  for (size_t i = range.begin; i < range.end;) {
    size_t end = i + 1;
    while (end < range.end && d.branches[end] / 2 == d.branches[i] / 2) ++end;
    run_block(run, range, i, end, s, fork);
    i = end;
  }
  s.finish();
  if (s.mapped.defined()) return {s.h, s.mapped};
  if (step_of(d.model) != norm_before) {
    s.h = seen(run, range, range.end, s.h);
    return {s.h, run_norm(run, d.norms.back(), s.h)};
  }
  const auto [sum, normed] =
      sum_and_norm(run, range, range.end, s.h, s.pending, options_at(run, range, range.end));
  return {sum, with_bias(run, d.norms.back(), normed)};
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

}  // namespace rung
