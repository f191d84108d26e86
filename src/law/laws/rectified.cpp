// The rectified law of fine-tuning: loss against the number of fine-tuning examples, flat at first
// (D^beta below what pre-training already taught, D_l) and then a power law.
// Source: Lin et al. 2024, "Selecting Large Language Model to Fine-tune via Rectified Scaling Law",
// section 4. One model and one task a fit; D = 0 is no point of the law (its logarithm is
// undefined and its loss lies off the curve).
#include "law/formula.h"
#include "law/laws/laws.h"
#include "law/laws/terms.h"

namespace rung {
namespace {

struct Rectified {
  static constexpr int coefficients = 4, inputs = 1;
  static auto loss(const auto& c, const Inputs& x) {
    using std::exp;
    const auto& [B, D_l, beta, E] = c;
    return E + B / (D_l + exp(beta * x.log(0)));
  }
};

constexpr std::string_view rectified_inputs[] = {"D"};
constexpr Coefficient rectified_coefficients[] = {
    factor_coefficient("B", "what fine-tuning can remove, times D_l", 1100.0),
    {.name = "D_l",
     .meaning = "size of the pre-learned data",
     .scale = Scale::log,
     .lo = 1e-6,
     .hi = 1e30,
     .grid_lo = 1.0,
     .grid_hi = 1e7,
     .grid_points = 20,
     .nuisance = true,
     .typical = 350.0},
    {.name = "beta",
     .meaning = "exponent of the fine-tuning data",
     .lo = 0.01,
     .hi = 3.0,
     .grid_lo = 0.05,
     .grid_hi = 1.2,
     .grid_points = 20,
     .typical = 0.6},
    irreducible_loss(0.9),
};
constexpr InputRange rectified_design[] = {{200.0, 1.6384e6}};

}  // namespace

constinit const Law rectified_law = {
    .name = "rectified",
    .formula = "L = B/(D_l + D^beta) + E",
    .source = "Lin et al. 2024, section 4",
    .identifiable =
        "D spans both phases: sizes that hardly help, and a decade or more where they do; E only "
        "where the curve flattens again",
    .inputs = rectified_inputs,
    .coefficients = rectified_coefficients,
    .evaluate = evaluate_formula<Rectified>,
    .objective = "least-squares",
    .design = rectified_design,
    .noise = 0.01,
};

}  // namespace rung
