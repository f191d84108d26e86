// Laws of a model's shape.
//   width-depth       L = E + A_w/width^alpha_w + A_d/depth^alpha_d + A_D/D^alpha_D
//   width-depth-size  the same and A_N/N^alpha_N
//     Source: McLeish et al. 2025, "Gemstones: A Model Suite for Multi-Faceted Scaling Laws",
//     width-depth laws; typical values: their grid searches over the runs up to 350B
//     tokens, where E of the three-term law ran to 0.
//   levine            width = e^(a + b depth), the width below which a further layer no longer
//     pays. Source: Levine et al. 2020, "The Depth-to-Width Interplay in Self-Attention"
//     (a = 5.039, b = 0.0555); a network of 12 depth width^2 parameters follows, 30K wide at 1e12
//     as in its abstract.
#include "law/formula.h"
#include "law/laws/laws.h"
#include "law/laws/terms.h"
#include "law/power_term.h"

namespace rung {
namespace {

// E, then `terms` amplitudes, then as many exponents.
template <int terms>
struct PowerTerms {
  static constexpr int coefficients = 1 + 2 * terms, inputs = terms;
  static auto loss(const auto& c, const Inputs& x) {
    return std::get<0>(c) + sum_over<terms>([&](auto i) {
             return power_term(std::get<1 + i>(c), std::get<1 + terms + i>(c), x.log(i));
           });
  }
};

struct DepthThreshold {
  static constexpr int coefficients = 2, inputs = 1;
  static auto loss(const auto& c, const Inputs& x) {
    using std::exp;
    const auto& [a, b] = c;
    return exp(a + b * x[0]);
  }
};

constexpr Coefficient exponent(std::string_view name, std::string_view meaning, int points,
                               double typical) {
  return loss_exponent(name, meaning, typical, {.points = points});
}

constexpr std::string_view shape_inputs[] = {"width", "depth", "D"};
constexpr Coefficient shape_coefficients[] = {
    irreducible_loss(1.0),
    factor_coefficient("A_w", "width term", 8.29),
    factor_coefficient("A_d", "depth term", 2.08),
    factor_coefficient("A_D", "data term", 79550.0),
    exponent("alpha_w", "exponent of width", 12, 0.26065),
    exponent("alpha_d", "exponent of depth", 12, 0.14165),
    exponent("alpha_D", "exponent of data", 12, 0.53096),
};
constexpr InputRange shape_design[] = {{256, 3072}, {3, 80}, {1e10, 3.5e11}};

constexpr std::string_view sized_inputs[] = {"width", "depth", "N", "D"};
constexpr Coefficient sized_coefficients[] = {
    irreducible_loss(1.48686),
    factor_coefficient("A_w", "width term", 2.92671),
    factor_coefficient("A_d", "depth term", 0.81078),
    factor_coefficient("A_N", "size term", 501.424),
    factor_coefficient("A_D", "data term", 54395.0),
    exponent("alpha_w", "exponent of width", 7, 0.20528),
    exponent("alpha_d", "exponent of depth", 7, 0.47414),
    exponent("alpha_N", "exponent of size", 7, 0.37210),
    exponent("alpha_D", "exponent of data", 7, 0.51165),
};
constexpr InputRange sized_design[] = {{256, 3072}, {3, 80}, {5e7, 2e9}, {1e10, 3.5e11}};

constexpr std::string_view levine_inputs[] = {"depth"};
constexpr InputRule levine_rules[] = {{.may_be_constant = true}};
constexpr Coefficient levine_coefficients[] = {
    {.name = "a",
     .meaning = "logarithm of the width at depth 0",
     .lo = -20.0,
     .hi = 20.0,
     .grid_lo = 0.0,
     .grid_hi = 10.0,
     .grid_points = 11,
     .typical = 5.039},
    {.name = "b",
     .meaning = "growth of its logarithm by layer",
     .lo = 0.0,
     .hi = 2.0,
     .grid_lo = 0.01,
     .grid_hi = 0.3,
     .grid_points = 8,
     .typical = 0.0555},
};
constexpr InputRange levine_design[] = {{6, 48, true}};

}  // namespace

constinit const Law width_depth_law = {
    .name = "width-depth",
    .formula = "L = E + A_w/width^alpha_w + A_d/depth^alpha_d + A_D/D^alpha_D",
    .source = "McLeish et al. 2025, width-depth laws",
    .identifiable =
        "width, depth and D vary independently: several depths at equal width and the reverse",
    .inputs = shape_inputs,
    .coefficients = shape_coefficients,
    .evaluate = evaluate_formula<PowerTerms<3>>,
    .design = shape_design,
    .noise = 0.005,
};

constinit const Law width_depth_size_law = {
    .name = "width-depth-size",
    .formula = "L = E + A_w/width^alpha_w + A_d/depth^alpha_d + A_N/N^alpha_N + A_D/D^alpha_D",
    .source = "McLeish et al. 2025, width-depth laws",
    .identifiable =
        "as width-depth, and N does not follow from width and depth (it nearly does: 12 depth "
        "width^2 and the vocabulary), so many shapes over decades of size",
    .inputs = sized_inputs,
    .coefficients = sized_coefficients,
    .evaluate = evaluate_formula<PowerTerms<4>>,
    .design = sized_design,
    .noise = 0.005,
};

constinit const Law levine_law = {
    .name = "levine",
    .formula = "width = e^(a + b depth)",
    .source = "Levine et al. 2020",
    .identifiable = "pairs of depth and best width at three depths or more",
    .inputs = levine_inputs,
    .coefficients = levine_coefficients,
    .evaluate = evaluate_formula<DepthThreshold>,
    .target = "width",
    .objective = "least-squares",
    .design = levine_design,
    .noise = 0.05,
    .input_rules = levine_rules,
};

}  // namespace rung
