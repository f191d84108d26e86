// The loss that the fits give at N and D under a choice of bits, experts and granularity, for their
// best coefficients or for one of their resamples:
//   the loss law itself, which may read the choice (P_w, P_a, P_kv; E; G)
//   + the loss that rounding adds, where a ptq fit is given
//   at the dense size that experts are worth, where a routing fit is given: Clark et al. 2022,
//     "Unified Scaling Laws for Routed Language Models", the effective parameter count: the N' at
//     which a dense model has the loss of N parameters with E experts
#pragma once
#include <string>
#include <vector>

#include "plan/knowledge.h"
#include "plan/plan.h"

namespace rung {

class Surface {
 public:
  // Usage error when the loss law reads what is neither given nor chosen.
  Surface(const Knowledge& knowledge, const PlanOptions& options, const Alternative& choice);

  static constexpr int best = -1;
  // Infinity where the law gives nothing finite. `sample` indexes the loss law's resamples.
  double operator()(int sample, double n, double d) const;

  // A new measurement's loss with its interval.
  Prediction predict(double n, double d, double level) const;

  size_t samples() const { return knowledge_.loss.fit->samples.size(); }

 private:
  double value_of(std::string_view input, double n, double d) const;
  double rounding(int sample, double n, double d) const;
  double dense_size(int sample, double n) const;
  Point point_at(double n, double d) const;

  const Knowledge& knowledge_;
  const PlanOptions& options_;
  Alternative choice_;
  std::vector<std::string> names_;
  std::vector<std::vector<double>> coefficients_;  // best, then the resamples
  std::vector<double> best_rounding_, best_routing_;
};

}  // namespace rung
