#include "model/blocks.h"

#include <ATen/ops/arange.h>

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

namespace {

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
Hidden norm_before(const Run& run, BranchRange range, Tensor h) {
  const Decoder& d = run.d;
  Tensor y, branch;
  for (size_t i = range.begin; i <= range.end; ++i) {
    const bool last = i == range.end;
    NormOptions options = norm_options(d.model);
    if (!last && d.block.residual[d.branches[i]].delayed)
      options.input_gradient = d.block.residual[d.branches[i]].branch;
    const NormTensors& tensors = last ? d.norms.back() : d.norms[i];
    const Weight gain = gain_of(run, tensors);
    if (i == range.begin) {
      y = norm(h, gain, options);
    } else {
      const ResidualFactor& r = d.block.residual[d.branches[i - 1]];
      options.skip = r.skip;
      options.branch = r.branch;
      options.branch_gradient = r.delayed ? 1.0 : r.branch;
      std::tie(h, y) = add_norm(h, branch, gain, options);
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
Hidden norm_after(const Run& run, BranchRange range, Tensor h) {
  const Decoder& d = run.d;
  for (size_t i = range.begin; i < range.end; ++i) {
    const ResidualFactor& r = d.block.residual[d.branches[i]];
    const Tensor f = run_norm(run, d.norms[i], run_branch(run, d.branches[i], h));
    h = h * r.skip + f * r.branch;
  }
  return {h, run_norm(run, d.norms.back(), h)};
}

}  // namespace

Hidden run_branches(const Run& run, BranchRange range, Tensor h) {
  return run.d.model.norm_place == "after" ? norm_after(run, range, std::move(h))
                                           : norm_before(run, range, std::move(h));
}

}  // namespace rung
