// Densing law: density = e^(A t + B), the density of a model being its effective over its actual
// parameters and t a date in days. The effective parameters are those that a reference family needs
// for the same score: fit the family's loss and its accuracy over loss, then invert (law/invert.h).
// Source: Xiao et al. 2024, "Densing Law of LLMs", equation 5 (ln of the densest model's density =
// A t + B, t in days from the release of Llama-1) with the density of equation 1, the family's
// loss a/N^alpha + b/D^beta (no E) at D = 1e12 of equation 2, its sigmoid of equation 3, both
// inverted in equation 4. A = 0.0073, a doubling in 95 days (section 3.3); its figure 1
// has 0.007 and 3.3 months.
#include "law/formula.h"
#include "law/laws/laws.h"

namespace rung {
namespace {

struct Densing {
  static constexpr int coefficients = 2, inputs = 1;
  static auto loss(const auto& c, const Inputs& x) {
    using std::exp;
    const auto& [A, B] = c;
    return exp(A * x[0] + B);
  }
};

constexpr std::string_view densing_inputs[] = {"t"};
// A date has no decade.
constexpr InputRule densing_rules[] = {{.domain = Domain::real, .may_be_constant = true}};
constexpr Coefficient densing_coefficients[] = {
    {.name = "A",
     .meaning = "growth by day",
     .lo = -1.0,
     .hi = 1.0,
     .grid_lo = -0.005,
     .grid_hi = 0.02,
     .grid_points = 26,
     .typical = 0.0073},
    // The source prints no B; its densities are below 0.1 at the first date and reach 3 in autumn
    // of the next year (section 3.3), which A joins with B = -3.
    {.name = "B",
     .meaning = "logarithm of the density at t = 0",
     .lo = -1e3,
     .hi = 1e3,
     .grid_lo = -8.0,
     .grid_hi = 4.0,
     .grid_points = 13,
     .typical = -3.0},
};
constexpr InputRange densing_design[] = {{10, 650, true}};

}  // namespace

constinit const Law densing_law = {
    .name = "densing",
    .formula = "density = e^(A t + B)",
    .source = "Xiao et al. 2024, equations 1 to 5",
    .identifiable =
        "the densest models of several months; t in days from any date before the first",
    .inputs = densing_inputs,
    .coefficients = densing_coefficients,
    .evaluate = evaluate_formula<Densing>,
    .target = "density",
    .objective = "least-squares",
    .design = densing_design,
    .noise = 0.2,
    .input_rules = densing_rules,
};

}  // namespace rung
