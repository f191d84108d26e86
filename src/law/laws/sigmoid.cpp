// The second half of a downstream prediction: accuracy on a task against the task's loss,
// accuracy = a/(1 + e^(k (L - L0))) + b with b the score of guessing and a + b the best one.
// Source: Bhagia et al. 2024, "Establishing Task Scaling Laws via Compute-Efficient Model Ladders",
// equation 2 (section 3.2), there a/(1 + e^(-k (L - L0))) + b with a < 0: their a is -a, their b
// a + b. They add the point L = 0, accuracy 1. Llama team 2024, "The Llama 3 Herd of Models",
// section 3.2.1, speaks of a sigmoidal relation without a formula.
#include "law/laws/sigmoid.h"

#include "law/laws/laws.h"

namespace rung {
namespace {

constexpr std::string_view sigmoid_inputs[] = {"L"};
constexpr auto sigmoid_terms = sigmoid_coefficients(4.0, 0.9);
constexpr InputRange sigmoid_design[] = {{0.4, 1.6, true}};
constexpr InputRule sigmoid_rules[] = {{.domain = Domain::real}};

}  // namespace

constinit const Law sigmoid_law = {
    .name = "sigmoid",
    .formula = "accuracy = a/(1 + e^(k (L - L0))) + b",
    .source = "Bhagia et al. 2024, equation 2",
    .identifiable =
        "L reaches from the floor of guessing past the middle of the rise; a needs "
        "models near the best score, else fix it",
    .inputs = sigmoid_inputs,
    .coefficients = sigmoid_terms,
    .evaluate = evaluate_formula<Sigmoid>,
    .target = "accuracy",
    .objective = "raw-least-squares",
    .design = sigmoid_design,
    .noise = 0.01,
    .input_rules = sigmoid_rules,
};

}  // namespace rung
