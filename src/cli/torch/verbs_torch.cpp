// The verbs over LibTorch, in the order of `rung help`.
#include "cli/torch/verbs_torch.h"

namespace rung {

extern const Verb climb_verb;
extern const Verb verify_verb;
extern const Verb forecast_verb;
extern const Verb train_verb;
extern const Verb sweep_verb;
extern const Verb ladder_verb;
extern const Verb eval_verb;
extern const Verb generate_verb;
extern const Verb logits_verb;
extern const Verb tokenize_verb;
extern const Verb import_verb;
extern const Verb export_verb;
extern const Verb audit_verb;
extern const Verb coord_verb;
extern const Verb scales_verb;
extern const Verb mixers_verb;
extern const Verb ffns_verb;
extern const Verb optimizers_verb;
extern const Verb formats_verb;
extern const Verb presets_verb;
extern const Verb doctor_verb;
extern const Verb bench_verb;

std::span<const Verb* const> torch_verbs() {
  static constexpr std::array verbs = {
      &climb_verb,   &verify_verb,   &forecast_verb, &train_verb,    &sweep_verb,  &ladder_verb,
      &eval_verb,    &generate_verb, &logits_verb,   &tokenize_verb, &import_verb, &export_verb,
      &audit_verb,   &coord_verb,    &scales_verb,   &mixers_verb,   &ffns_verb,   &optimizers_verb,
      &formats_verb, &presets_verb,  &doctor_verb,   &bench_verb,
  };
  return verbs;
}

}  // namespace rung
