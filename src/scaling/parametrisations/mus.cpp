// munit Scaling, muS (arXiv 2502.05967), for updates of fixed size (Adam, Lion):
//   every weight starts at 1; A 1 (embedding), fan_in^-1/2 (hidden), 1 / fan_in (readout)
//   LR 1, sqrt(base_width / width) (hidden), 1; decay independent and constant
//   x <- sqrt(1 - tau) x + sqrt(tau) norm(f(x)), tau falling with the depth: 0.4 at 4 layers
// FP8 casts of hidden products are static: their scale is A. Heads keep their size in the paper,
// which leaves the logits at 1 / sqrt(d).
#include "scaling/parametrisations/rules.h"

namespace rung {
namespace {

Factors factors(const TensorSpec& tensor, const Dims& dims, std::string_view alignment) {
  want_full("mus", alignment);
  if (dims.conventions.update == Update::sgd)
    fail_usage("[mus] Its rates are for updates of fixed size. Set train.optimizer=adamw.");
  const double m = ratio(dims.width, dims.base_width), in = static_cast<double>(tensor.fan_in);
  Factors f = plain(tensor, 1.0, 1.0);
  switch (tensor.role) {
    case Role::embedding:
      break;
    case Role::hidden:
      f = plain(tensor, 1.0 / std::sqrt(in), 1.0);
      f.C = 1.0 / std::sqrt(m);
      break;
    case Role::readout:
    case Role::router:
      f = plain(tensor, 1.0 / in, 1.0);
      break;
    case Role::tied:
      f = plain(tensor, 1.0 / static_cast<double>(dims.width), 1.0);
      break;
    case Role::gain:
    case Role::bias:
    case Role::channel:
      f = plain(tensor, 1.0, 0.0);
      break;
    case Role::lora_a:
    case Role::lora_b:
      fail_usage("[mus] No rule for adapters is known. Received tensor {}.", tensor.name);
  }
  return f;
}

BlockFactors block(const RunConfig& config, const Dims& dims) {
  BlockFactors b = standard_block(config, dims);
  const double tau = config.multipliers.tau;
  for (ResidualFactor& r : b.residual) r = {std::sqrt(1.0 - tau), std::sqrt(tau), false};
  return b;
}

std::string unmet(const RunConfig& config) {
  return config.model.norm_place == "after"
             ? ""
             : "norms after branches (Res-post-LN) here; set model.norm_place=after";
}

}  // namespace

extern const Parametrisation mus_parametrisation;
constinit const Parametrisation mus_parametrisation{
    "mus",   "unit weights with static scales for FP8; needs Res-post-LN blocks",
    factors, block,
    unmet,   {.width = true, .logits = {-0.5, -0.5}}};

}  // namespace rung
