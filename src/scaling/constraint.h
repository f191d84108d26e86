// Constraints of unit scaling (Blake et al. 2023, section 4): a unit-scaled op would give its
// output and the gradient of each input a multiplier of its own. Where an input also goes
// elsewhere, as the residual stream does, its gradients add up to a true one only if the op has one
// multiplier for all; the constraint says which. Gradients of weights go nowhere else and are left
// out.
#pragma once
#include <span>
#include <string_view>
#include <vector>

#include "scaling/parametrisation.h"

namespace rung {

// `scales`: of the output, then of each input's gradient. none leaves them; gmean, hmean and amean
// are means; to_output_scale, to_grad_input_scale (of two), to_left_grad_scale and
// to_right_grad_scale (of three) take one. Fails (usage) for an unknown name and for another number
// of scales.
std::vector<double> constrained(std::string_view constraint, std::span<const double> scales);
OpFactor constrained(std::string_view constraint, const OpFactor& factor);

}  // namespace rung
