#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "law/predict.h"
#include "law/problem.h"

namespace rung {
namespace {

// More than half of the interval and more than 5 % of the prediction. Intervals hold their level
// with E at 0 too (docs/laws.md), so what is refused is an answer that is mostly a guess at E, not
// a wrong one; within 5 % it is of use all the same.
constexpr double deciding_share = 0.5, deciding_move = 0.05;

void weigh(const Objective& objective, const Prediction& prediction, double moved,
           BoundShare& share) {
  const double width = residual(objective, prediction.hi, prediction.lo);
  share.loss = with_residual(objective, prediction.loss, moved);
  share.share = std::fabs(moved) / std::max(width, 1e-300);
  share.decides = share.share > deciding_share && std::fabs(share.loss - prediction.loss) >
                                                      deciding_move * std::fabs(prediction.loss);
}

}  // namespace

std::vector<BoundShare> bound_shares(const Fit& fit, const LawAt& law_at,
                                     const Prediction& prediction, double weight) {
  std::vector<BoundShare> shares = prediction.at_bound;
  for (const OpenEnd& end : fit.open_ends) {
    double moved = weight * residual(fit.objective, law_at(end.values), law_at(fit.values()));
    auto share = std::find_if(shares.begin(), shares.end(), [&](const BoundShare& known) {
      return known.coefficient == end.coefficient;
    });
    if (share != shares.end()) {
      moved += residual(fit.objective, share->loss, prediction.loss);
    } else {
      share =
          shares.insert(share, {.coefficient = end.coefficient,
                                .bound = end.bound,
                                .other = end.values[find_coefficient(*fit.law, end.coefficient)]});
    }
    weigh(fit.objective, prediction, moved, *share);
  }
  return shares;
}

std::string undetermined_text(const Prediction& prediction) {
  for (const BoundShare& s : prediction.at_bound)
    if (s.decides)
      return fmt::format(
          "[bound-decides] {} ended at its bound {:.4g} and decides here: the data allow {:.4g} as "
          "well, with which {} is {:.5g} instead of {:.5g}, {:.0f} % of the interval's width away.",
          s.coefficient, s.bound, s.other, prediction.target, s.loss, prediction.loss,
          100.0 * s.share);
  return {};
}

void refuse_undetermined(const Prediction& prediction, std::string_view verb) {
  const std::string text = undetermined_text(prediction);
  if (!text.empty()) refuse("[{}] {} {}", verb, text, undetermined_advice);
}

}  // namespace rung
