// Sparse upcycling: a dense model trained on D1 tokens becomes a mixture of experts that trains on
// D2 more. The interaction a3 makes the second stage learn more slowly the longer the first was,
// L = A D1^-a1 D2^(-a2 + a3 ln D1) + E.
// Source: Liew, Kato and Takase 2025, "Scaling Laws for Upcycling Mixture-of-Experts Language
// Models", section 4.1, at one model size. Typical values: table 2, the fit of the joint law
// (section 5) of eight experts, two active; there E = 0.165 + 8.53 N^-0.112, 1.00 at N = 1e9.
#include "law/formula.h"
#include "law/laws/laws.h"
#include "law/laws/terms.h"

namespace rung {
namespace {

struct Upcycling {
  static constexpr int coefficients = 5, inputs = 2;
  static auto loss(const auto& c, const Inputs& x) {
    using std::exp;
    const auto& [A, a1, a2, a3, E] = c;
    return E + A * exp(-a1 * x.log(0) + (a3 * x.log(0) - a2) * x.log(1));
  }
};

constexpr std::string_view upcycling_inputs[] = {"D1", "D2"};
constexpr Coefficient upcycling_coefficients[] = {
    factor_coefficient("A", "reducible loss at D1 = D2 = 1", 16.3),
    {.name = "a1",
     .meaning = "exponent of the dense data",
     .lo = -3.0,
     .hi = 5.0,
     .grid_lo = 0.0,
     .grid_hi = 1.0,
     .grid_points = 9,
     .typical = 0.043},
    {.name = "a2",
     .meaning = "exponent of the upcycled data",
     .lo = -3.0,
     .hi = 5.0,
     .grid_lo = 0.0,
     .grid_hi = 1.0,
     .grid_points = 9,
     .typical = 0.085},
    {.name = "a3",
     .meaning = "interaction of both",
     .lo = -0.5,
     .hi = 0.5,
     .grid_lo = 0.0,
     .grid_hi = 0.03,
     .grid_points = 5,
     .typical = 7.98e-4},
    irreducible_loss(1.0),
};
constexpr InputRange upcycling_design[] = {{5e8, 5e10}, {5e8, 5e10}};

}  // namespace

constinit const Law upcycling_law = {
    .name = "upcycling",
    .formula = "L = A D1^-a1 D2^(-a2 + a3 ln D1) + E",
    .source = "Liew et al. 2025, section 4.1",
    .identifiable = "D1 and D2 vary independently, each over a decade or more",
    .inputs = upcycling_inputs,
    .coefficients = upcycling_coefficients,
    .evaluate = evaluate_formula<Upcycling>,
    .design = upcycling_design,
    .noise = 0.002,
};

}  // namespace rung
