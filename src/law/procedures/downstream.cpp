// Downstream chain: the loss L(N, D) = E + A/N^alpha + B/D^beta, then the accuracy of a task
// against the loss, accuracy = b + a/(1 + e^(k (L - L0))); predicted is the accuracy at N and D,
// with the uncertainty of both steps.
// Source: Bhagia et al. 2024, "Establishing Task Scaling Laws via Compute-Efficient Model Ladders",
// equations 1 (section 3.1, Huber on the logarithms) and 2 (section 3.2, least squares of the
// accuracies, there with intermediate checkpoints as further rows). Llama team 2024, "The Llama 3
// Herd of Models", section 3.2.1, has the two steps in words, the first one in FLOPs.
#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "law/laws/sigmoid.h"
#include "law/laws/size_and_data.h"
#include "law/procedures/monomial.h"
#include "law/procedures/procedures.h"

namespace rung {
namespace {

constexpr std::string_view downstream_source = "Bhagia et al. 2024, equations 1 and 2";

struct Chain {
  static constexpr int coefficients = 9, inputs = 2;
  static auto loss(const auto& c, const Inputs& x) {
    const auto loss_there = SizeAndData::loss(c, x);
    return sigmoid_accuracy(std::get<5>(c), std::get<6>(c), std::get<7>(c), std::get<8>(c),
                            loss_there);
  }
};

// The loss's coefficients, then the accuracy's: the composed law has all of them in this order.
constexpr auto downstream_loss_coefficients =
    size_and_data_coefficients({1.8, 480.0, 2100.0, 0.35, 0.37});
constexpr auto accuracy_coefficients = sigmoid_coefficients(5.0, 2.4);
constexpr auto chain_coefficients = [] {
  std::array<Coefficient, 9> all;
  std::copy(downstream_loss_coefficients.begin(), downstream_loss_coefficients.end(), all.begin());
  std::copy(accuracy_coefficients.begin(), accuracy_coefficients.end(), all.begin() + 5);
  return all;
}();
constexpr std::string_view run_inputs[] = {"N", "D"};
constexpr std::string_view downstream_loss_inputs[] = {"L"};
constexpr InputRange run_design[] = {{5e7, 1.6e10}, {1e9, 4e11}};
constexpr InputRange downstream_loss_design[] = {{1.9, 3.2, true}};

constinit const Law downstream_loss_law = {
    .name = "downstream.L",
    .formula = "L = E + A/N^alpha + B/D^beta",
    .source = downstream_source,
    .identifiable = "N and D vary independently, each over about a decade or more",
    .inputs = run_inputs,
    .coefficients = downstream_loss_coefficients,
    .evaluate = evaluate_formula<SizeAndData>,
    .design = run_design,
    .noise = 0.003,
};
constinit const Law downstream_accuracy_law = {
    .name = "downstream.accuracy_of_L",
    .formula = "accuracy = b + a/(1 + e^(k (L - L0)))",
    .source = downstream_source,
    .identifiable =
        "the losses reach past the middle of the rise; a and b need both plateaus, "
        "else fix them",
    .inputs = downstream_loss_inputs,
    .coefficients = accuracy_coefficients,
    .evaluate = evaluate_formula<Sigmoid>,
    .target = "accuracy",
    .objective = "raw-least-squares",
    .design = downstream_loss_design,
    .noise = 0.01,
};
constinit const Law chain_law = {
    .name = "downstream.accuracy",
    .formula = "accuracy = b + a/(1 + e^(k (L - L0))), L = E + A/N^alpha + B/D^beta",
    .source = downstream_source,
    .identifiable = "both steps are",
    .inputs = run_inputs,
    .coefficients = chain_coefficients,
    .evaluate = evaluate_formula<Chain>,
    .target = "accuracy",
    .objective = "raw-least-squares",
    .design = run_design,
    .noise = 0.01,
};
constexpr const Law* chain_laws[] = {&downstream_loss_law, &downstream_accuracy_law};

constexpr std::string_view loss_aliases[] = {"task_loss"};
constexpr RawColumn chain_columns[] = {
    {"N"}, {"D"}, {.name = "L", .aliases = loss_aliases}, {.name = "accuracy"}};

Derivation derive_chain(const RawRows& rows, const Settings&) {
  Derivation derivation{.redraw = Redraw::laws};
  DerivedPart loss{.law = &downstream_loss_law}, accuracy{.law = &downstream_accuracy_law};
  for (const char* name : {"N", "D", "L"}) loss.points.add(name, rows[name]);
  for (const char* name : {"L", "accuracy"}) accuracy.points.add(name, rows[name]);
  for (const char* name : {"N", "D", "accuracy"}) derivation.composed.add(name, rows[name]);
  loss.points.source = accuracy.points.source = derivation.composed.source = rows.table.source;
  for (const double value : rows["accuracy"])
    if (value > 1.0) {
      derivation.diagnostics.push_back(
          {"units", Severity::refusal,
           fmt::format("{} is a share of one. Received {}: divide per cents by 100.",
                       rows.names.at("accuracy"), value)});
      return derivation;
    }
  derivation.parts.push_back(std::move(loss));
  derivation.parts.push_back(std::move(accuracy));
  return derivation;
}

}  // namespace

constinit const Procedure downstream_procedure = {
    .name = "downstream",
    .formula = "accuracy = b + a/(1 + e^(k (L - L0))), L = E + A/N^alpha + B/D^beta",
    .source = downstream_source,
    .identifiable =
        "runs whose N and D vary independently and whose accuracies reach past the "
        "middle of their rise",
    .columns = chain_columns,
    .measured = "L",
    .laws = chain_laws,
    .composed = &chain_law,
    .derive = derive_chain,
};

}  // namespace rung
