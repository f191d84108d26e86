// Discrete choices: bits, experts, granularity. Each alternative has its own path of sizes and its
// own surface; the best size of each is found, and the lowest loss decides (with a k-bit fit the
// highest accuracy).
//   bits         2 to 16 of weights, activations and cache in training (Kumar et al. 2024, section
//                4: costs may fall in proportion, `bit_flops`), or of the weights after it (their
//                equation 2; Dettmers & Zettlemoyer 2023 for accuracies)
//   experts      1, 2, 4, ... up to the most in the data: more store more for the same FLOPs, so
//                memory decides (Clark et al. 2022; Ludziejewski et al. 2025)
//   granularity  1, 2, 4, ... up to the most in the data: finer experts cost routing, a linear map
//                from the width to experts x granularity in every block (Krajewski et al. 2024)
#pragma once
#include <optional>
#include <vector>

#include "plan/budget.h"
#include "plan/shape_rule.h"
#include "plan/surface.h"

namespace rung {

struct Decision {
  Alternative choice{};  // the winner
  std::vector<Alternative> alternatives{};
  Path path{};
  std::string source{};  // the fit that decides
  std::vector<std::string> remarks{};
};

// The best of the alternatives that fits on vocabulary, bits, experts and shapes allow. Usage error
// where the budget leaves less than one parameter to all of them.
Decision decide(const Knowledge& knowledge, const PlanOptions& options, const ShapeRule& rule);

// The shape that the options give, if any; and N of the shape or of the size that they give, 0
// where they give neither.
std::optional<ModelShape> given_shape(const PlanOptions& options, const Alternative& choice);
double given_size(const PlanOptions& options, const Alternative& choice);

// Path of one alternative under the options, routing costs included.
Path path_of(const Knowledge& knowledge, const PlanOptions& options, const ShapeRule& rule,
             const Alternative& choice);

}  // namespace rung
