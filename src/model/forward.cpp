// The passes that training, evaluation and generation ask for.
#include <ATen/core/grad_mode.h>

#include "model/blocks.h"
#include "model/heads.h"
#include "model/readout.h"

namespace rung {

using at::Tensor;

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

Tensor hidden_states(const Decoder& d, std::span<const Weight> weights, const Tensor& tokens,
                     const Ropes& ropes, Cache* cache, Tensor* stream) {
  const Hidden hidden =
      run_path({.d = d, .weights = weights, .ropes = ropes, .cache = cache}, tokens);
  if (stream) *stream = hidden.stream;
  return hidden.normed;
}

Tensor token_losses(const Decoder& d, std::span<const Weight> weights, const Tensor& tokens,
                    const Tensor& targets, const Ropes& ropes, double gradient_scale, Tally* tally,
                    StreamTaps* stream) {
  const Weight& readout = weights[d.readout];
  const double gradient = d.block.loss_gradient * gradient_scale;
  // Where the readout's backward multiplier is not its forward one, the stream's gradient is off
  // by their ratio.
  const double own = static_cast<double>(tokens.size(1) * tokens.size(2));
  const Run run{.d = d,
                .weights = weights,
                .ropes = ropes,
                .loss_factor = gradient * own * readout.A_input / readout.A,
                .tally = tally,
                .stream = stream};
  if (stream) stream->resize(d.branches.size() + 1);
  Fork fork;
  if (!d.heads.empty())
    fork = [&](const Tensor& h) { return train_heads(run, h, targets, gradient); };
  return readout_losses(d, weights, run_path(run, tokens, fork).normed, targets, gradient);
}

Tensor token_logits(const Decoder& d, std::span<const Weight> weights, const Tensor& tokens,
                    const Ropes& ropes, Cache* cache) {
  const at::NoGradGuard off;
  return readout_logits(d, weights, hidden_states(d, weights, tokens, ropes, cache));
}

}  // namespace rung
