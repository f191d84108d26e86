// k-bit inference: accuracy of a model of N parameters whose weights are rounded to `bits` bits
// after training, so of bits N bits in all:
//   accuracy = a + b ln(N/10^9) - c e^(-bits/gamma).
// Source: Dettmers & Zettlemoyer 2023, "The case for 4-bit precision: k-bit Inference Scaling
// Laws". They interpolate and give no formula: against ln(N bits) their curves are straight,
// parallel from 4 bits up, and fall off at 3. This is the least form with that content; rounding
// noise of 4^-bits would make gamma = 1/ln 4. At fixed N bits the best precision solves
// c bits e^(-bits/gamma) = b gamma (the larger root).
#include "law/formula.h"
#include "law/laws/laws.h"
#include "law/laws/terms.h"

namespace rung {
namespace {

struct KBit {
  static constexpr int coefficients = 4, inputs = 2;
  static auto loss(const auto& c, const Inputs& x) {
    using std::exp;
    const auto& [a, b, cost, gamma] = c;
    return a + b * (x.log(0) - 9.0 * std::log(10.0)) - cost * exp(-x[1] / gamma);
  }
};

constexpr std::string_view kbit_inputs[] = {"N", "bits"};
// A few bits are a range of their own, far from a decade; what they leave open a profile tells.
constexpr InputRule kbit_rules[] = {{}, {.may_be_constant = true}};
// Values of this size make 4 bits best at every total, as the source finds.
constexpr Coefficient kbit_coefficients[] = {
    {.name = "a",
     .meaning = "accuracy of 10^9 unrounded parameters",
     .lo = 0.0,
     .linear = true,
     .typical = 0.55},
    {.name = "b", .meaning = "gain by ln N", .lo = 0.0, .linear = true, .typical = 0.045},
    factor_coefficient("c", "cost of rounding", 2.5),
    {.name = "gamma",
     .meaning = "bits by which the cost falls to 1/e",
     .scale = Scale::log,
     .lo = 0.1,
     .hi = 20.0,
     .grid_lo = 0.2,
     .grid_hi = 5.0,
     .grid_points = 32,
     .typical = 0.7213475},
};
constexpr InputRange kbit_design[] = {{1.25e8, 6.6e10}, {3, 8, true}};

}  // namespace

constinit const Law kbit_law = {
    .name = "k-bit",
    .formula = "accuracy = a + b ln(N/10^9) - c e^(-bits/gamma)",
    .source = "after Dettmers & Zettlemoyer 2023",
    .identifiable =
        "several sizes, each at several precisions, with some low enough (3 to 4 bits) to cost "
        "accuracy",
    .inputs = kbit_inputs,
    .coefficients = kbit_coefficients,
    .evaluate = evaluate_formula<KBit>,
    .target = "accuracy",
    .objective = "huber",
    .design = kbit_design,
    .noise = 0.005,
    .input_rules = kbit_rules,
};

}  // namespace rung
