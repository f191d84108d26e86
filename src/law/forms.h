// Uncertainty about the law's form: several laws fitted to one table, weighted by how well each
// predicts the largest rungs from the smaller ones (law/rollout.h).
#pragma once
#include <string>
#include <vector>

#include "law/fit.h"
#include "law/predict.h"

namespace rung {

struct Form {
  Fit fit;
  double weight = 0.0;  // they sum to one; 0 for a refused fit
  // Root mean square over held-out rungs; infinite where none was possible.
  double rollout_error = 0.0;
  std::string problem{};  // why not
};

struct Forms {
  std::vector<Form> forms;  // as asked for
  size_t best = 0;          // the largest weight
  std::string order;        // what ordered the rungs
  double rollout_sd = 0.0;  // what the held-out rungs missed by beyond the residual noise, weighted

  bool refused() const { return forms.at(best).fit.refused(); }
};

// The options of each of several laws, given by name or by what makes one: fixed, bounded, tied and
// believed coefficients go to the laws that have them, and must be of one (usage error).
std::vector<FitOptions> options_of_laws(const FitOptions& common,
                                        const std::vector<std::string>& laws);

// Fits every set of options; all laws must share target and residual unit (usage error). `order`
// empty: C where the table has it, else the first input that all laws share.
Forms fit_forms(const Table& table, const std::vector<FitOptions>& options, std::string order = "");

// One prediction from all of them: coefficients, noise, form and rollout error.
Prediction predict_forms(const Forms& forms, const Point& at, double level);

// The leading fit with `forms` beside its keys, so that whatever reads a fit reads this too.
Json forms_to_json(const Forms& forms, bool samples = true);

// Reads either: a plain fit is one form of weight one.
Forms forms_from_json(const Json& json, const std::string& source = "fit.json");

}  // namespace rung
