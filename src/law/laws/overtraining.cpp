// Over-training: L = E + (a M^eta + b M^-eta) C^-eta with M = D/N tokens per parameter and
// C = 6 N D. Source: Gadre et al. 2024, "Language models scale reliably with over-training and on
// downstream tasks". It is Chinchilla's law with equal exponents, alpha = beta = 2 eta:
// a 6^-eta N^(-2 eta) + b 6^-eta D^(-2 eta), so N and D are its inputs here.
#include "law/formula.h"
#include "law/laws/laws.h"
#include "law/laws/terms.h"

namespace rung {
namespace {

struct Overtraining {
  static constexpr int coefficients = 4, inputs = 2;
  static auto loss(const auto& c, const Inputs& x) {
    using std::exp;
    const auto& [E, a, b, eta] = c;
    const double log_M = x.log(1) - x.log(0);
    const double log_C = std::log(6.0) + x.log(0) + x.log(1);
    return E + a * exp(eta * (log_M - log_C)) + b * exp(-eta * (log_M + log_C));
  }
};

constexpr std::string_view overtraining_inputs[] = {"N", "D"};
// Typical values: RedPajama runs evaluated on C4, fitted on the five runs that the source uses.
constexpr Coefficient overtraining_coefficients[] = {
    irreducible_loss(1.84),
    factor_coefficient("a", "size term", 212.0),
    factor_coefficient("b", "data term", 367.0),
    {.name = "eta",
     .meaning = "exponent of compute",
     .lo = 0.0025,
     .hi = 1.5,
     .grid_lo = 0.01,
     .grid_hi = 0.6,
     .grid_points = 96,
     .typical = 0.136},
};
constexpr InputRange overtraining_design[] = {{1e7, 1.4e9}, {2e8, 1.3e11}};

}  // namespace

constinit const Law overtraining_law = {
    .name = "overtraining",
    .formula = "L = E + (a M^eta + b M^-eta) C^-eta, M = D/N, C = 6 N D",
    .source = "Gadre et al. 2024",
    .identifiable = "runs differ in compute and in tokens per parameter, each over about a decade",
    .inputs = overtraining_inputs,
    .coefficients = overtraining_coefficients,
    .evaluate = evaluate_formula<Overtraining>,
    .design = overtraining_design,
    .noise = 0.005,
};

}  // namespace rung
