// From hidden states to logits, and to losses without keeping logits.
#pragma once
#include "model/decoder.h"

namespace rung {

// Losses in nats [P, B, T] of hidden states behind the final norm, [P, B, T, D]. Backward
// accumulates gradients of sum(losses) times `gradient`.
at::Tensor readout_losses(const Decoder& decoder, std::span<const Weight> weights,
                          const at::Tensor& hidden, const at::Tensor& targets, double gradient);

// Logits [P, B, T, V] as the loss sees them, without recording.
at::Tensor readout_logits(const Decoder& decoder, std::span<const Weight> weights,
                          const at::Tensor& hidden);

}  // namespace rung
