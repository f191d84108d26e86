#include "ops/mlp.h"

#include "model/ffns/ffns.h"
#include "ops/linear.h"

namespace rung {
namespace {

std::vector<TensorSpec> with_biases(const ModelConfig& model, std::vector<TensorSpec> maps) {
  if (!model.ffn_bias) return maps;
  for (const size_t map : {0, 1})
    maps.push_back(vector_of(Role::bias, maps[map].name + "_bias", maps[map].fan_out));
  return maps;
}

}  // namespace

std::vector<TensorSpec> describe_gated(const ModelConfig& model) {
  const int64_t inner = ffn_width_of(model);
  std::vector<TensorSpec> maps{hidden_matrix("gate_up", 2 * inner, model.width),
                               hidden_matrix("down", model.width, inner)};
  maps[0].parts = {inner, inner};
  return with_biases(model, std::move(maps));
}

std::vector<TensorSpec> describe_plain(const ModelConfig& model) {
  const int64_t inner = ffn_width_of(model);
  return with_biases(
      model, {hidden_matrix("up", inner, model.width), hidden_matrix("down", model.width, inner)});
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

namespace {

template <Activation kind>
Mlp mlp_of(std::span<const Weight> weights, const Pass& pass) {
  return {.kind = kind,
          .activation = activation_options(pass),
          .first = weights[0],
          .second = weights[1]};
}

}  // namespace

template <Activation kind>
at::Tensor ffn_forward(std::span<const Weight> weights, const at::Tensor& x, const Pass& pass) {
  if (!pass.model.ffn_bias) return mlp(x, mlp_of<kind>(weights, pass));
  const ActivationOptions options = activation_options(pass);
  const at::Tensor inner = activation(kind, add_bias(linear(x, weights[0]), weights[2]), options);
  return add_bias(linear(inner, weights[1]), weights[3]);
}

template <Activation kind>
at::Tensor ffn_step(std::span<const Weight> weights, const at::Tensor& x, const at::Tensor& f,
                    const ResidualStep& step, const Pass& pass) {
  if (pass.model.ffn_bias) return {};
  const Mlp m = mlp_of<kind>(weights, pass);
  return fits_mlp_step(x, m, step) ? mlp_step(x, f, m, step) : at::Tensor();
}

template at::Tensor ffn_forward<Activation::swiglu>(std::span<const Weight>, const at::Tensor&,
                                                    const Pass&);
template at::Tensor ffn_forward<Activation::geglu>(std::span<const Weight>, const at::Tensor&,
                                                   const Pass&);
template at::Tensor ffn_forward<Activation::gelu>(std::span<const Weight>, const at::Tensor&,
                                                  const Pass&);
template at::Tensor ffn_forward<Activation::relu2>(std::span<const Weight>, const at::Tensor&,
                                                   const Pass&);
template at::Tensor ffn_step<Activation::swiglu>(std::span<const Weight>, const at::Tensor&,
                                                 const at::Tensor&, const ResidualStep&,
                                                 const Pass&);
template at::Tensor ffn_step<Activation::geglu>(std::span<const Weight>, const at::Tensor&,
                                                const at::Tensor&, const ResidualStep&,
                                                const Pass&);
template at::Tensor ffn_step<Activation::gelu>(std::span<const Weight>, const at::Tensor&,
                                               const at::Tensor&, const ResidualStep&, const Pass&);
template at::Tensor ffn_step<Activation::relu2>(std::span<const Weight>, const at::Tensor&,
                                                const at::Tensor&, const ResidualStep&,
                                                const Pass&);

}  // namespace rung
