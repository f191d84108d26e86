#include "model/ffns/ffns.h"
#include "ops/linear.h"

namespace rung {

std::vector<TensorSpec> describe_gated(const ModelConfig& model) {
  const int64_t inner = ffn_width_of(model);
  return {hidden_matrix("gate_up", 2 * inner, model.width),
          hidden_matrix("down", model.width, inner)};
}

std::vector<TensorSpec> describe_plain(const ModelConfig& model) {
  const int64_t inner = ffn_width_of(model);
  return {hidden_matrix("up", inner, model.width), hidden_matrix("down", model.width, inner)};
}

double no_extra_flops(const ModelConfig&, int64_t) {
  return 0.0;
}

std::vector<TensorSpec> describe_none(const ModelConfig&) {
  return {};
}

FfnFactor ffn_factor_of(const Pass& pass) {
  return pass.block.ffn.empty() ? FfnFactor{} : pass.block.ffn[static_cast<size_t>(pass.layer)];
}

ActivationOptions activation_options(const Pass& pass) {
  const OpFactor factor = ffn_factor_of(pass).activation;
  return {.slope = pass.block.ffn_slope, .forward = factor.forward, .backward = factor.backward};
}

template <Activation kind>
at::Tensor ffn_forward(std::span<const Weight> weights, const at::Tensor& x, const Pass& pass) {
  return linear(activation(kind, linear(x, weights[0]), activation_options(pass)), weights[1]);
}

template at::Tensor ffn_forward<Activation::swiglu>(std::span<const Weight>, const at::Tensor&,
                                                    const Pass&);
template at::Tensor ffn_forward<Activation::geglu>(std::span<const Weight>, const at::Tensor&,
                                                   const Pass&);
template at::Tensor ffn_forward<Activation::gelu>(std::span<const Weight>, const at::Tensor&,
                                                  const Pass&);
template at::Tensor ffn_forward<Activation::relu2>(std::span<const Weight>, const at::Tensor&,
                                                   const Pass&);

}  // namespace rung
