// The second half of a downstream prediction: accuracy on a task against the task's loss,
// accuracy = a/(1 + e^(k (L - L0))) + b with b the score of guessing and a + b the best one.
// Source: Llama team 2024, "The Llama 3 Herd of Models", section 3.2.1; this form: Bhagia et al.
// 2024, "Establishing Task Scaling Laws via Compute-Efficient Model Ladders", its second step.
#include "law/formula.h"
#include "law/laws/laws.h"

namespace rung {
namespace {

struct Sigmoid {
  static constexpr int coefficients = 4, inputs = 1;
  template <class T>
  static T loss(const std::array<T, 4>& c, const Inputs& x) {
    using std::exp;
    const auto& [a, b, k, L0] = c;
    return b + a / (1.0 + exp(k * (x[0] - L0)));
  }
};

constexpr std::string_view sigmoid_inputs[] = {"L"};
constexpr Coefficient sigmoid_coefficients[] = {
    {.name = "a",
     .meaning = "range of the accuracy",
     .scale = Scale::log,
     .lo = 0.0,
     .linear = true,
     .typical = 0.7},
    {.name = "b", .meaning = "accuracy of guessing", .lo = 0.0, .linear = true, .typical = 0.25},
    {.name = "k",
     .meaning = "steepness",
     .scale = Scale::log,
     .lo = 0.02,
     .hi = 1e3,
     .grid_lo = 0.5,
     .grid_hi = 50.0,
     .grid_points = 12,
     .typical = 4.0},
    {.name = "L0",
     .meaning = "loss at the middle",
     .scale = Scale::log,
     .lo = 0.01,
     .hi = 100.0,
     .grid_lo = 0.2,
     .grid_hi = 8.0,
     .grid_points = 24,
     .typical = 0.9},
};
constexpr InputRange sigmoid_design[] = {{0.4, 1.6, true}};
constexpr InputRule sigmoid_rules[] = {{.domain = Domain::real}};

}  // namespace

constinit const Law sigmoid_law = {
    .name = "sigmoid",
    .formula = "accuracy = a/(1 + e^(k (L - L0))) + b",
    .source = "Llama team 2024, section 3.2.1; Bhagia et al. 2024, step 2",
    .identifiable =
        "L reaches from the floor of guessing past the middle of the rise; a needs "
        "models near the best score, else fix it",
    .inputs = sigmoid_inputs,
    .coefficients = sigmoid_coefficients,
    .evaluate = evaluate_formula<Sigmoid>,
    .target = "accuracy",
    .objective = "raw-least-squares",
    .design = sigmoid_design,
    .noise = 0.01,
    .input_rules = sigmoid_rules,
};

}  // namespace rung
