// Accuracy over a floor that guessing reaches, accuracy = floor + (1 - floor)/(1 + e^-z), and its
// inverse: what the observational and the skill law share. The floor is given, not fitted (setting
// `floor`, 0 unless set): few tables hold models weak enough to show it.
#pragma once
#include <cmath>

#include "core/error.h"
#include "law/formula.h"
#include "law/procedure.h"

namespace rung {

template <class Floor, class Z>
auto logistic_accuracy(const Floor& floor, const Z& z) {
  using std::exp;
  return floor + (1.0 - floor) / (1.0 + exp(-z));
}

inline double logit_above(double floor, double accuracy) {
  return std::log((accuracy - floor) / (1.0 - accuracy));
}

constexpr Coefficient floor_coefficient = {.name = "floor",
                                           .meaning = "accuracy of guessing",
                                           .lo = 0.0,
                                           .hi = 1.0,
                                           .linear = true,
                                           .nuisance = true,
                                           .typical = 0.0};
constexpr ProcedureSetting floor_setting = {"floor", "accuracy of guessing", 0};

// The setting, with a refusal where an accuracy has no logit above it.
inline double read_floor(const RawRows& rows, const Settings& settings, Derivation& derivation) {
  const double floor = settings.at("floor");
  if (!(floor >= 0.0 && floor < 1.0))
    fail_usage("[floor] The accuracy of guessing is a share of one. Received {}.", floor);
  for (const double accuracy : rows["accuracy"])
    if (!(accuracy > floor && accuracy < 1.0)) {
      derivation.diagnostics.push_back(
          {"units", Severity::refusal,
           fmt::format(
               "{} must lie between {} and 1 to have a logit. Received {}. Divide per cents "
               "by 100, or leave such rows out.",
               rows.names.at("accuracy"), floor, accuracy)});
      break;
    }
  return floor;
}

}  // namespace rung
