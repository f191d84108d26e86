// Spectral condition (Yang, Simon & Bernstein 2023, arXiv 2310.17813): weights and updates have
// spectral norm sqrt(fan_out / fan_in). With embeddings read as one-hot maps of fan_in 1,
//   B = fan_in^-1/2 min(1, sqrt(fan_out / fan_in))
//   LR: Adam 1 / fan_in, SGD fan_out / fan_in, each over that of the base shape, where C is 1
// It is muP in the form without multipliers, with the constants of the condition.
#include "scaling/parametrisations/mup_rules.h"

namespace rung {
namespace {

Factors factors(const TensorSpec& tensor, const Dims& dims, std::string_view alignment) {
  want_full("spectral", alignment);
  Factors f = mup_table3_factors(tensor, dims, alignment);
  const bool map = tensor.role == Role::hidden || tensor.role == Role::readout ||
                   tensor.role == Role::router || tensor.role == Role::lora_a;
  if (!map) return f;
  const double out = static_cast<double>(tensor.fan_out), in = static_cast<double>(tensor.fan_in);
  f.B = plain(tensor, 1.0, std::min(1.0, std::sqrt(out / in)) / std::sqrt(in)).B;
  return f;
}

// The readout's init stops at fan_in^-1/2 while the width is below the vocabulary.
constexpr Promise promise{.width = true, .logits = {-0.5, 0.0}, .scores = -0.5};

BlockFactors block(const RunConfig& config, const Dims& dims) {
  return mup_block(config, dims, 1.0);
}

}  // namespace

extern const Parametrisation spectral_parametrisation;
constinit const Parametrisation spectral_parametrisation{
    "spectral", "weights and updates of spectral norm sqrt(fan_out / fan_in)",
    factors,    block,
    nullptr,    promise};

}  // namespace rung
