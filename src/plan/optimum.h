// The best size along a path: where the loss is least, over the fit's resamples too, and the
// stretch about it that is as good within a margin.
#pragma once
#include "plan/budget.h"
#include "plan/surface.h"

namespace rung {

// Fills N, D, C, intervals, the near-optimal set, prediction and limits. Refuses where the law has
// no optimum on the path or leaves its place open.
void find_optimum(const Surface& surface, const Path& path, const PlanOptions& options, Plan& plan);

// A model whose size is given. `each`: its training FLOPs a token as the path counts them,
// attention included where its shape is known.
struct GivenSize {
  double n = 0.0;
  double n_of_laws = 0.0;  // without routers, as laws of mixtures count
  double each = 0.0;
};

// Its plan, and what it loses against the best.
void plan_given(const Surface& surface, const Path& path, const PlanOptions& options,
                const GivenSize& size, Plan& plan);

// Loss along the path about the near-optimal set.
std::vector<Plan::BasinPoint> basin_along(const Surface& surface, const Path& path,
                                          const PlanOptions& options, const Plan& plan);

// From laws of the optimum over C (IsoFLOP curves, an envelope).
void read_optimum(const Knowledge& knowledge, const PlanOptions& options, Plan& plan);

// Puts the plan at N = n and D = d, where training takes c FLOPs; those of inference follow.
void set_place(Plan& plan, const PlanOptions& options, double n, double d, double c);

}  // namespace rung
