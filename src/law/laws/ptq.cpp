// Post-training quantisation: the loss that rounding a trained model's weights to P bits adds,
// delta = C_T D^gamma_D/N^gamma_N e^(-P/gamma_post). It grows with D: long training makes weights
// harder to round. Source: Kumar et al. 2024, "Scaling Laws for Precision", equation 2.
#include "law/formula.h"
#include "law/laws/laws.h"
#include "law/laws/terms.h"

namespace rung {
namespace {

struct PostTraining {
  static constexpr int coefficients = 4, inputs = 3;
  static auto loss(const auto& c, const Inputs& x) {
    using std::exp;
    const auto& [C_T, gamma_D, gamma_N, gamma_post] = c;
    return C_T * exp(gamma_D * x.log(1) - gamma_N * x.log(0) - x[2] / gamma_post);
  }
};

constexpr std::string_view ptq_inputs[] = {"N", "D", "P"};
constexpr Coefficient ptq_coefficients[] = {
    factor_coefficient("C_T", "degradation at N = D = 1 and no bits", 0.0598),
    {.name = "gamma_D", .meaning = "exponent of data", .linear = true, .typical = 0.5068},
    {.name = "gamma_N", .meaning = "exponent of size", .linear = true, .typical = 0.3439},
    {.name = "gamma_post",
     .meaning = "bits that divide the degradation by e",
     .scale = Scale::log,
     .lo = 0.02,
     .hi = 100.0,
     .grid_lo = 0.1,
     .grid_hi = 5.0,
     .grid_points = 40,
     .typical = 0.5907},
};
constexpr InputRange ptq_design[] = {{3e7, 1.7e9}, {1.5e9, 2.6e10}, {3.0, 6.0, true}};
constexpr InputRule ptq_rules[] = {{}, {}, {.domain = Domain::non_negative}};

}  // namespace

constinit const Law ptq_law = {
    .name = "ptq",
    .formula = "delta = C_T D^gamma_D/N^gamma_N e^(-P/gamma_post)",
    .source = "Kumar et al. 2024, equation 2",
    .identifiable =
        "N, D and P vary independently; delta (loss after less loss before rounding) "
        "stays positive and above the noise of both losses",
    .inputs = ptq_inputs,
    .coefficients = ptq_coefficients,
    .evaluate = evaluate_formula<PostTraining>,
    .target = "delta",
    .objective = "least-squares",
    .design = ptq_design,
    .noise = 0.1,
    .input_rules = ptq_rules,
    .log_linear = true,
};

}  // namespace rung
