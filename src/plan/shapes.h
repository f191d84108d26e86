// Real shapes near the best size: widths that hardware likes, whole depths, counted exactly; each
// with the tokens that the budget leaves it and the loss that it costs against the best.
#pragma once
#include "plan/budget.h"
#include "plan/shape_rule.h"
#include "plan/surface.h"

namespace rung {

// Up to options.candidates shapes in the near-optimal set and the one nearest the best, by loss.
// Empty where no shape is so small.
std::vector<ShapeCandidate> find_shapes(const Surface& surface, const Path& path,
                                        const PlanOptions& options, const ShapeRule& rule,
                                        const Plan& plan);

// What one shape gives: the law's loss at its N and D, times what the rule says that its width over
// depth costs.
ShapeCandidate judge_shape(const Surface& surface, const Path& path, const PlanOptions& options,
                           const ShapeRule& rule, const ModelShape& shape, double best_loss,
                           double serve_bits);

// Tokens that the budget leaves a shape whose FLOPs a token are counted exactly.
double tokens_of(const Path& path, const ModelShape& shape);

}  // namespace rung
