#include "model/branch.h"

#include <ATen/ops/cat.h>

#include "config/pattern.h"

namespace rung {

using at::Tensor;

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

}  // namespace

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

bool goes_step_by_step(const Run& run, size_t b) {
  return b % 2 == 0 && run.cache && run.cache->revertible > 0 && !lists_tokens(run.d, b / 2);
}

Tensor run_branch(const Run& run, size_t b, const Tensor& x) {
  const Branch branch = branch_of(run, b);
  if (goes_step_by_step(run, b))
    return step_by_step(branch.part, branch.weights, x, branch.pass, *run.cache);
  const Tensor y = branch.part.forward(branch.weights, x, branch.pass);
  const size_t gain = b % 2 == 1 ? run.d.ffn_gain[b / 2] : 0;
  return gain ? y * multiplied(run.weights[gain]).view({x.size(0), 1, 1, 1}) : y;
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
