// The joint law of dense models and mixtures of experts: a Chinchilla law of active parameters N
// and tokens D whose coefficients and exponents depend on the number of experts E (dense: E = 1),
// L = a Eh^delta N^(alpha + gamma ln Eh) + b Eh^omega D^(beta + zeta ln Eh) + c, with Eh as in the
// law `routing`.
// Source: Ludziejewski et al. 2025, "Joint MoE Scaling Laws: Mixture of Experts Can Be Memory
// Efficient", the law of section 4. The constants quoted from it (a = 35.91, delta = .2285, alpha =
// -.1889, gamma = -.0098, b = 35.98, omega = -.5529, beta = -.1775, zeta = .0259, c = 1.3637) make
// 32 experts worse than none at N = 1e9, D = 2e10, against its own finding, so they are not used
// here: the typical values are round numbers of a plausible ladder.
#include "law/formula.h"
#include "law/laws/laws.h"
#include "law/laws/saturation.h"
#include "law/laws/terms.h"

namespace rung {
namespace {

struct JointMoe {
  static constexpr int coefficients = 11, inputs = 3;
  static auto loss(const auto& coefficients_at, const Inputs& x) {
    using std::exp;
    using std::log;
    const auto& [a, delta, alpha, gamma, b, omega, beta, zeta, c, E_start, E_max] = coefficients_at;
    const auto experts = log(saturated_experts(x[2], E_start, E_max));
    const auto size = exp(delta * experts + (alpha + gamma * experts) * x.log(0));
    const auto data = exp(omega * experts + (beta + zeta * experts) * x.log(1));
    return a * size + b * data + c;
  }
};

constexpr std::string_view joint_moe_inputs[] = {"N", "D", "E"};
// The grid leaves the interactions and the saturation at one point each: the polish finds them.
constexpr Coefficient joint_moe_coefficients[] = {
    factor_coefficient("a", "size term", 150.0),
    {.name = "delta",
     .meaning = "experts in the size term",
     .lo = -5.0,
     .hi = 5.0,
     .grid_lo = -0.2,
     .grid_hi = 0.2,
     .grid_points = 3,
     .typical = -0.2},
    {.name = "alpha",
     .meaning = "exponent of size",
     .lo = -3.0,
     .hi = -0.005,
     .grid_lo = -0.6,
     .grid_hi = -0.1,
     .grid_points = 6,
     .typical = -0.27},
    {.name = "gamma",
     .meaning = "experts in the exponent of size",
     .lo = -1.0,
     .hi = 1.0,
     .grid_points = 1,
     .typical = 0.003},
    factor_coefficient("b", "data term", 600.0),
    {.name = "omega",
     .meaning = "experts in the data term",
     .lo = -5.0,
     .hi = 5.0,
     .grid_lo = -0.2,
     .grid_hi = 0.2,
     .grid_points = 3,
     .typical = 0.15},
    {.name = "beta",
     .meaning = "exponent of data",
     .lo = -3.0,
     .hi = -0.005,
     .grid_lo = -0.6,
     .grid_hi = -0.1,
     .grid_points = 6,
     .typical = -0.3},
    {.name = "zeta",
     .meaning = "experts in the exponent of data",
     .lo = -1.0,
     .hi = 1.0,
     .grid_points = 1,
     .typical = -0.005},
    {.name = "c", .meaning = "irreducible loss", .lo = 0.0, .linear = true, .typical = 1.6},
    experts_at_start({2.0, 2.0, 1}, true),
    experts_at_most({300.0, 300.0, 1}, true),
};
constexpr InputRange joint_moe_design[] = {{5e7, 2.7e9}, {1e9, 1.3e11}, {1.0, 64.0}};

}  // namespace

constinit const Law joint_moe_law = {
    .name = "joint-moe",
    .formula =
        "L = a Eh^delta N^(alpha + gamma ln Eh) + b Eh^omega D^(beta + zeta ln Eh) + c, "
        "Eh as in routing",
    .source = "Ludziejewski et al. 2025, section 4",
    .identifiable =
        "N, D and E vary independently, N and D over a decade or more at several E; "
        "bound E_start and E_max to fit them too, given dense models and hundreds of experts",
    .inputs = joint_moe_inputs,
    .coefficients = joint_moe_coefficients,
    .evaluate = evaluate_formula<JointMoe>,
    .design = joint_moe_design,
    .noise = 0.002,
};

}  // namespace rung
