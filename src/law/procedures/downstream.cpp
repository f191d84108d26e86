// Downstream chain: the loss L(N, D) = E + A/N^alpha + B/D^beta, then the accuracy of a task
// against the loss, accuracy = b + a/(1 + e^(k (L - L0))); predicted is the accuracy at N and D,
// with the uncertainty of both steps.
// Source: Bhagia et al. 2024, "Establishing Task Scaling Laws via Compute-Efficient Model Ladders",
// section 3; Llama team 2024, "The Llama 3 Herd of Models", section 3.2.1.
#include <cmath>

#include "core/error.h"
#include "law/power_term.h"
#include "law/procedures/monomial.h"
#include "law/procedures/procedures.h"

namespace rung {
namespace {

constexpr std::string_view source = "Bhagia et al. 2024, section 3; Llama team 2024, section 3.2.1";

template <class T, size_t k>
T loss_of(const std::array<T, k>& c, const Inputs& x) {
  return c[0] + power_term(c[1], c[3], x.log(0)) + power_term(c[2], c[4], x.log(1));
}

template <class T, class L>
T accuracy_of(const T& a, const T& b, const T& k, const T& middle, const L& loss) {
  using std::exp;
  return b + a / (1.0 + exp(k * (loss - middle)));
}

struct LossStep {
  static constexpr int coefficients = 5, inputs = 2;
  template <class T>
  static T loss(const std::array<T, 5>& c, const Inputs& x) {
    return loss_of(c, x);
  }
};

struct AccuracyStep {
  static constexpr int coefficients = 4, inputs = 1;
  template <class T>
  static T loss(const std::array<T, 4>& c, const Inputs& x) {
    return accuracy_of(c[0], c[1], c[2], c[3], x[0]);
  }
};

struct Chain {
  static constexpr int coefficients = 9, inputs = 2;
  template <class T>
  static T loss(const std::array<T, 9>& c, const Inputs& x) {
    return accuracy_of(c[5], c[6], c[7], c[8], loss_of(c, x));
  }
};

constexpr Coefficient loss_exponent(std::string_view name, std::string_view meaning,
                                    double typical) {
  return {.name = name,
          .meaning = meaning,
          .lo = 0.005,
          .hi = 3.0,
          .grid_lo = 0.05,
          .grid_hi = 0.95,
          .grid_points = 32,
          .typical = typical};
}

// The loss's coefficients, then the accuracy's: the composed law has all of them in this order.
constexpr Coefficient chain_coefficients[] = {
    {.name = "E", .meaning = "irreducible loss", .lo = 0.0, .linear = true, .typical = 1.8},
    factor_coefficient("A", "size term", 480.0),
    factor_coefficient("B", "data term", 2100.0),
    loss_exponent("alpha", "exponent of size", 0.35),
    loss_exponent("beta", "exponent of data", 0.37),
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
     .typical = 5.0},
    {.name = "L0",
     .meaning = "loss at the middle",
     .scale = Scale::log,
     .lo = 0.01,
     .hi = 100.0,
     .grid_lo = 0.2,
     .grid_hi = 8.0,
     .grid_points = 24,
     .typical = 2.4},
};
constexpr std::span<const Coefficient> all = chain_coefficients;
constexpr std::string_view run_inputs[] = {"N", "D"};
constexpr std::string_view loss_inputs[] = {"L"};
constexpr InputRange run_design[] = {{5e7, 1.6e10}, {1e9, 4e11}};
constexpr InputRange loss_design[] = {{1.9, 3.2, true}};

constinit const Law loss_law = {
    .name = "downstream.L",
    .formula = "L = E + A/N^alpha + B/D^beta",
    .source = source,
    .identifiable = "N and D vary independently, each over about a decade or more",
    .inputs = run_inputs,
    .coefficients = all.subspan(0, 5),
    .evaluate = evaluate_formula<LossStep>,
    .design = run_design,
    .noise = 0.003,
};
constinit const Law accuracy_law = {
    .name = "downstream.accuracy_of_L",
    .formula = "accuracy = b + a/(1 + e^(k (L - L0)))",
    .source = source,
    .identifiable =
        "the losses reach past the middle of the rise; a and b need both plateaus, "
        "else fix them",
    .inputs = loss_inputs,
    .coefficients = all.subspan(5, 4),
    .evaluate = evaluate_formula<AccuracyStep>,
    .target = "accuracy",
    .objective = "huber",
    .design = loss_design,
    .noise = 0.01,
};
constinit const Law chain_law = {
    .name = "downstream.accuracy",
    .formula = "accuracy = b + a/(1 + e^(k (L - L0))), L = E + A/N^alpha + B/D^beta",
    .source = source,
    .identifiable = "both steps are",
    .inputs = run_inputs,
    .coefficients = chain_coefficients,
    .evaluate = evaluate_formula<Chain>,
    .target = "accuracy",
    .objective = "huber",
    .design = run_design,
    .noise = 0.01,
};
constexpr const Law* chain_laws[] = {&loss_law, &accuracy_law};

constexpr std::string_view loss_aliases[] = {"task_loss"};
constexpr RawColumn chain_columns[] = {
    {"N"}, {"D"}, {.name = "L", .aliases = loss_aliases}, {.name = "accuracy"}};

Derivation derive_chain(const RawRows& rows, const Settings&) {
  Derivation derivation{.redraw = Redraw::laws};
  DerivedPart loss{.law = &loss_law}, accuracy{.law = &accuracy_law};
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
    .source = source,
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
