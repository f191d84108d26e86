// Sparse upcycling: a dense model trained on D1 tokens becomes a mixture of experts that trains on
// D2 more. The interaction a3 makes the second stage learn more slowly the longer the first was,
// L = A D1^-a1 D2^(-a2 + a3 ln D1) + E.
// Source: Liew, Kato and Takase 2025, "Scaling Laws for Upcycling Mixture-of-Experts Language
// Models", the joint law of both data sets at one model size. Its constants depend on that size, so
// the typical values here are round numbers of a plausible ladder, not the paper's.
#include "law/formula.h"
#include "law/laws/laws.h"

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
    {.name = "A",
     .meaning = "reducible loss at D1 = D2 = 1",
     .scale = Scale::log,
     .lo = 0.0,
     .linear = true,
     .typical = 6600.0},
    {.name = "a1",
     .meaning = "exponent of the dense data",
     .lo = -3.0,
     .hi = 5.0,
     .grid_lo = 0.0,
     .grid_hi = 1.0,
     .grid_points = 9,
     .typical = 0.3},
    {.name = "a2",
     .meaning = "exponent of the upcycled data",
     .lo = -3.0,
     .hi = 5.0,
     .grid_lo = 0.0,
     .grid_hi = 1.0,
     .grid_points = 9,
     .typical = 0.32},
    {.name = "a3",
     .meaning = "interaction of both",
     .lo = -0.5,
     .hi = 0.5,
     .grid_lo = 0.0,
     .grid_hi = 0.03,
     .grid_points = 5,
     .typical = 0.01},
    {.name = "E", .meaning = "irreducible loss", .lo = 0.0, .linear = true, .typical = 2.0},
};
constexpr InputRange upcycling_design[] = {{5e8, 5e10}, {5e8, 5e10}};

}  // namespace

constinit const Law upcycling_law = {
    .name = "upcycling",
    .formula = "L = A D1^-a1 D2^(-a2 + a3 ln D1) + E",
    .source = "Liew et al. 2025",
    .identifiable = "D1 and D2 vary independently, each over a decade or more",
    .inputs = upcycling_inputs,
    .coefficients = upcycling_coefficients,
    .evaluate = evaluate_formula<Upcycling>,
    .design = upcycling_design,
    .noise = 0.002,
};

}  // namespace rung
