#include "ops/mlp.h"

#include "model/ffns/ffns.h"
#include "ops/linear.h"

namespace rung {
namespace {

// The two maps, their biases where there are any, and last the gain of the norm between them.
std::vector<TensorSpec> completed(const ModelConfig& model, std::vector<TensorSpec> maps) {
  const int64_t inner = maps[1].fan_in;
  if (model.ffn_bias)
    for (const size_t map : {0, 1})
      maps.push_back(vector_of(Role::bias, maps[map].name + "_bias", maps[map].fan_out));
  if (has_sub_gain(model)) maps.push_back(vector_of(Role::gain, "sub_norm", inner));
  return maps;
}

}  // namespace

std::vector<TensorSpec> describe_gated(const ModelConfig& model) {
  const int64_t inner = ffn_width_of(model);
  std::vector<TensorSpec> maps{hidden_matrix("gate_up", 2 * inner, model.width),
                               hidden_matrix("down", model.width, inner)};
  maps[0].parts = {inner, inner};
  return completed(model, std::move(maps));
}

std::vector<TensorSpec> describe_plain(const ModelConfig& model) {
  const int64_t inner = ffn_width_of(model);
  return completed(
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
  const ModelConfig& m = pass.model;
  if (!m.ffn_bias && !m.sub_norm) return mlp(x, mlp_of<kind>(weights, pass));
  at::Tensor inner = linear(x, weights[0]);
  if (m.ffn_bias) inner = add_bias(inner, weights[2]);
  inner = activation(kind, inner, activation_options(pass));
  inner = sub_normed(inner, has_sub_gain(m) ? weights[m.ffn_bias ? 4 : 2] : Weight{}, m);
  const at::Tensor y = linear(inner, weights[1]);
  return m.ffn_bias ? add_bias(y, weights[3]) : y;
}

template <Activation kind>
Stepped ffn_step(std::span<const Weight> weights, const at::Tensor& x, const at::Tensor& f,
                 const ResidualStep& step, const Pass& pass) {
  if (pass.model.ffn_bias || pass.model.sub_norm) return {};
  const Mlp m = mlp_of<kind>(weights, pass);
  return fits_mlp_step(x, f, m, step) ? mlp_step(x, f, m, step) : Stepped{};
}

template at::Tensor ffn_forward<Activation::swiglu>(std::span<const Weight>, const at::Tensor&,
                                                    const Pass&);
template at::Tensor ffn_forward<Activation::geglu>(std::span<const Weight>, const at::Tensor&,
                                                   const Pass&);
template at::Tensor ffn_forward<Activation::reglu2>(std::span<const Weight>, const at::Tensor&,
                                                    const Pass&);
template at::Tensor ffn_forward<Activation::gelu>(std::span<const Weight>, const at::Tensor&,
                                                  const Pass&);
template at::Tensor ffn_forward<Activation::relu2>(std::span<const Weight>, const at::Tensor&,
                                                   const Pass&);
template Stepped ffn_step<Activation::swiglu>(std::span<const Weight>, const at::Tensor&,
                                              const at::Tensor&, const ResidualStep&, const Pass&);
template Stepped ffn_step<Activation::geglu>(std::span<const Weight>, const at::Tensor&,
                                             const at::Tensor&, const ResidualStep&, const Pass&);
template Stepped ffn_step<Activation::reglu2>(std::span<const Weight>, const at::Tensor&,
                                              const at::Tensor&, const ResidualStep&, const Pass&);
template Stepped ffn_step<Activation::gelu>(std::span<const Weight>, const at::Tensor&,
                                            const at::Tensor&, const ResidualStep&, const Pass&);
template Stepped ffn_step<Activation::relu2>(std::span<const Weight>, const at::Tensor&,
                                             const at::Tensor&, const ResidualStep&, const Pass&);

}  // namespace rung
