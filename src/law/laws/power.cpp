// The one-variable law along a fixed path (fixed tokens per parameter, say): L = E + A x^-a.
// Source: Hestness et al. 2017, "Deep Learning Scaling is Predictable, Empirically", with an
// irreducible term; Henighan et al. 2020, "Scaling Laws for Autoregressive Generative Modeling",
// equation 1.1.
#include "law/formula.h"
#include "law/laws/laws.h"
#include "law/laws/terms.h"
#include "law/power_term.h"

namespace rung {
namespace {

struct Power {
  static constexpr int coefficients = 3, inputs = 1;
  static auto loss(const auto& c, const Inputs& x) {
    const auto& [E, A, a] = c;
    return E + power_term(A, a, x.log(0));
  }
};

constexpr std::string_view power_inputs[] = {"x"};
constexpr Coefficient power_coefficients[] = {
    irreducible_loss(1.7),
    factor_coefficient("A", "reducible loss at x = 1", 1070.0),
    loss_exponent("a", "exponent", 0.155, {0.01, 1.5, 128}),
};
constexpr InputRange power_design[] = {{1e17, 1e21}};

}  // namespace

constinit const Law power_law = {
    .name = "power",
    .formula = "L = E + A x^-a",
    .source = "Hestness et al. 2017; Henighan et al. 2020, equation 1.1",
    .identifiable = "x varies over a decade or more and the loss bends away from a pure power law",
    .inputs = power_inputs,
    .coefficients = power_coefficients,
    .evaluate = evaluate_formula<Power>,
    .design = power_design,
    .noise = 0.003,
};

}  // namespace rung
