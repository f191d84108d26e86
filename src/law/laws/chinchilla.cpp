// Chinchilla's parametric law (approach 3): L = E + A/N^alpha + B/D^beta.
// Source: Hoffmann et al. 2022, "Training Compute-Optimal Large Language Models", section 3.3;
// corrected coefficients: Besiroglu et al. 2024, "Chinchilla Scaling: A replication attempt".
#include "law/formula.h"
#include "law/laws/laws.h"

namespace rung {
namespace {

struct Chinchilla {
  static constexpr int coefficients = 5, inputs = 2;
  template <class T>
  static T loss(const std::array<T, 5>& c, const Inputs& x) {
    using std::exp;
    const auto& [E, A, B, alpha, beta] = c;
    return E + A * exp(-alpha * x.log(0)) + B * exp(-beta * x.log(1));
  }
};

constexpr std::string_view chinchilla_inputs[] = {"N", "D"};
constexpr Coefficient chinchilla_coefficients[] = {
    {.name = "E", .meaning = "irreducible loss", .lo = 0.0, .linear = true, .typical = 1.81722},
    {.name = "A",
     .meaning = "size term",
     .scale = Scale::log,
     .lo = 0.0,
     .linear = true,
     .typical = 477.83},
    {.name = "B",
     .meaning = "data term",
     .scale = Scale::log,
     .lo = 0.0,
     .linear = true,
     .typical = 2143.4},
    {.name = "alpha",
     .meaning = "exponent of size",
     .lo = 0.005,
     .hi = 3.0,
     .grid_lo = 0.05,
     .grid_hi = 0.95,
     .grid_points = 32,
     .typical = 0.347311},
    {.name = "beta",
     .meaning = "exponent of data",
     .lo = 0.005,
     .hi = 3.0,
     .grid_lo = 0.05,
     .grid_hi = 0.95,
     .grid_points = 32,
     .typical = 0.367172},
};
constexpr InputRange chinchilla_design[] = {{5e7, 1.6e10}, {1e9, 4e11}};

}  // namespace

constinit const Law chinchilla_law = {
    .name = "chinchilla",
    .formula = "L = E + A/N^alpha + B/D^beta",
    .source = "Hoffmann et al. 2022, section 3.3; Besiroglu et al. 2024",
    .identifiable = "N and D vary independently, each over about a decade or more",
    .inputs = chinchilla_inputs,
    .coefficients = chinchilla_coefficients,
    .evaluate = evaluate_formula<Chinchilla>,
    .design = chinchilla_design,
    .noise = 0.003,
};

}  // namespace rung
