#include "scaling/parametrisations/width_rule.h"

namespace rung {
namespace {

// One tensor: A, B and the shift t that brought them into this form. They hold fan_in^-1/2, which
// is the base's times m^-1/2: `in_A`, `in_B` and `in_t` say which of them has that m^-1/2 already,
// so that the usual exponents of 1/2 leave exact values. reach: by which power of m a step's effect
// grows.
struct Form {
  double A = 1.0, B = 1.0, t = 1.0;
  WidthExponents e;
  double reach = 0.0;
  double in_A = 0.0, in_B = 0.0, in_t = 0.0;
};

Form matrix_form(const WidthExponents& e, int64_t fan_in, bool unit, double aligned) {
  const double scale = 1.0 / root(fan_in);
  if (unit) return {scale, 1.0, scale, e, aligned, 0.5, 0.0, 0.5};
  return {1.0, scale, 1.0, e, aligned, 0.0, 0.5, 0.0};
}

Form form_of(const WidthRule& rule, const TensorSpec& tensor, double m, double aligned) {
  // Tensors that A cannot be traded against (a gain of 1 has no scale, a tied matrix has another
  // use) see the gradient of an embedding with a = 0.
  const WidthExponents fixed{0.0, 0.0, rule.embedding.g - rule.embedding.a};
  switch (tensor.role) {
    case Role::embedding:
      return {1.0, 1.0, 1.0, rule.embedding, 0.0};
    case Role::tied: {
      // An embedding whose logits are those of the readout: A m^-(a + b) of it, relative to B = 1.
      const double A = std::pow(m, 0.5 - rule.readout.a - rule.readout.b) / root(tensor.fan_in);
      return {A, 1.0, 1.0, fixed, 0.0};
    }
    case Role::hidden:
      return matrix_form(rule.hidden, tensor.fan_in, rule.unit_weights, aligned);
    case Role::readout:
    case Role::router:  // many units in, a fixed number out
      return matrix_form(rule.readout, tensor.fan_in, rule.unit_weights, aligned);
    // LoRA+ (arXiv 2402.12354): LR of the map down / m, of the map up 1, which starts at 0; rank
    // r^-1/2 as in rsLoRA (arXiv 2312.03732). The gradient of the map down does not fall with m.
    case Role::lora_a:
      return matrix_form({0.0, 0.5, 0.0}, tensor.fan_in, false, aligned);
    case Role::lora_b:
      return {1.0 / root(tensor.fan_in), 0.0, 1.0, fixed, 0.0};
    case Role::gain:
    case Role::bias:
    case Role::channel:  // fixed fan_in, elementwise: as a gain
      return {1.0, 0.0, 1.0, fixed, 0.0};
  }
  return {};
}

}  // namespace

Factors width_factors(const WidthRule& rule, const TensorSpec& tensor, const Dims& dims,
                      Alignment alignment) {
  double m = ratio(dims.width, dims.base_width);
  if (tensor.role == Role::tied && tensor.fan_in == 1) {
    // The decoder lists a tied matrix as an embedding; its logits sum over the width.
    TensorSpec logits = tensor;
    logits.fan_in = dims.width;
    return width_factors(rule, logits, dims, alignment);
  }
  const Form form = form_of(rule, tensor, m, alignment == Alignment::full ? 1.0 : 0.5);
  const WidthExponents& e = form.e;
  Factors f =
      plain(tensor, form.A * std::pow(m, form.in_A - e.a), form.B * std::pow(m, form.in_B - e.b));
  double c = alignment == Alignment::global ? 0.0 : form.reach - e.a;
  double power = 1.0;  // of the shift
  if (dims.conventions.update == Update::sgd) {
    if (alignment != Alignment::global) c -= e.g;
    power = 2.0;
  } else if (dims.conventions.update == Update::parameter_scaled) {
    if (alignment != Alignment::global) c -= e.b;
    power = 0.0;
  }
  f.C = std::pow(form.t, -power) * std::pow(m, -c - power * form.in_t);
  f.epsilon = form.t * std::pow(m, form.in_t - e.g);
  return f;
}

}  // namespace rung
