// Fine-grained mixtures of experts: granularity G (how many smaller experts replace one of the
// feed-forward layer's size) improves the size term of a Chinchilla law at a fixed expansion rate.
// Source: Krajewski et al. 2024, "Scaling Laws for Fine-Grained Mixture of Experts", the joint law
// L(N, D, G) = c + (g/G^gamma + a)/N^alpha + b/D^beta.
#include "law/formula.h"
#include "law/laws/laws.h"
#include "law/laws/terms.h"

namespace rung {
namespace {

struct FineGrainedMoe {
  static constexpr int coefficients = 7, inputs = 3;
  static auto loss(const auto& at, const Inputs& x) {
    using std::exp;
    const auto& [c, a, g, gamma, alpha, b, beta] = at;
    return c + (g * exp(-gamma * x.log(2)) + a) * exp(-alpha * x.log(0)) +
           b * exp(-beta * x.log(1));
  }
};

constexpr std::string_view fine_grained_moe_inputs[] = {"N", "D", "G"};
constexpr Coefficient fine_grained_moe_coefficients[] = {
    {.name = "c", .meaning = "irreducible loss", .lo = 0.0, .linear = true, .typical = 0.47},
    factor_coefficient("a", "size term at endless granularity", 18.1),
    factor_coefficient("g", "granularity term", 2.1),
    {.name = "gamma",
     .meaning = "exponent of granularity",
     .lo = 0.02,
     .hi = 5.0,
     .grid_lo = 0.2,
     .grid_hi = 2.0,
     .grid_points = 6,
     .typical = 0.58},
    loss_exponent("alpha", "exponent of size", 0.115, {0.05, 0.8, 10}),
    factor_coefficient("b", "data term", 30.8),
    loss_exponent("beta", "exponent of data", 0.147, {0.05, 0.8, 10}),
};
constexpr InputRange fine_grained_moe_design[] = {{6e7, 4e9}, {8e9, 1.3e11}, {1.0, 16.0}};

}  // namespace

constinit const Law fine_grained_moe_law = {
    .name = "fine-grained-moe",
    .formula = "L = c + (g/G^gamma + a)/N^alpha + b/D^beta",
    .source = "Krajewski et al. 2024, equation 9",
    .identifiable =
        "N, D and G vary independently, N and D over a decade or more; gamma needs "
        "three values of G whose losses differ by more than the noise",
    .inputs = fine_grained_moe_inputs,
    .coefficients = fine_grained_moe_coefficients,
    .evaluate = evaluate_formula<FineGrainedMoe>,
    .design = fine_grained_moe_design,
    .noise = 0.002,
};

}  // namespace rung
