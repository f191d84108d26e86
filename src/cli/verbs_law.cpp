// The verbs that need no torch, in the order of `rung help`.
#include "cli/verb.h"

namespace rung {

extern const Verb fit_verb;
extern const Verb predict_verb;
extern const Verb plan_verb;
extern const Verb laws_verb;
extern const Verb report_verb;
extern const Verb parametrisations_verb;

std::span<const Verb* const> law_verbs() {
  static constexpr std::array verbs = {
      &fit_verb, &predict_verb, &plan_verb, &laws_verb, &report_verb, &parametrisations_verb,
  };
  return verbs;
}

}  // namespace rung
