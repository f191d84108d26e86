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

template <Activation kind>
at::Tensor ffn_forward(std::span<const Weight> weights, const at::Tensor& x, const Pass& pass) {
  const ActivationOptions options{.slope = pass.block.ffn_slope,
                                  .forward = pass.block.ffn_output.forward,
                                  .backward = pass.block.ffn_output.backward};
  return linear(activation(kind, linear(x, weights[0]), options), weights[1]);
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
