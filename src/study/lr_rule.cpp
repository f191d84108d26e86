#include "study/lr_rule.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"

namespace rung {
namespace {

// Least squares of y = a + b x + c x^2 by normal equations on centred x.
struct Parabola {
  double a = 0.0, b = 0.0, c = 0.0, centre = 0.0;
};

Parabola fit_parabola(const std::vector<double>& x, const std::vector<double>& y) {
  Parabola p;
  for (const double v : x) p.centre += v / static_cast<double>(x.size());
  double s[5] = {}, t[3] = {};
  for (size_t i = 0; i < x.size(); ++i) {
    double power = 1.0;
    for (int k = 0; k < 5; ++k) {
      s[k] += power;
      if (k < 3) t[k] += power * y[i];
      power *= x[i] - p.centre;
    }
  }
  // Cramer's rule on the 3 x 3 system.
  const auto determinant = [](const double(&m)[3][3]) {
    return m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1]) -
           m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0]) +
           m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0]);
  };
  double solution[3];
  double matrix[3][3];
  for (int column = -1; column < 3; ++column) {
    for (int r = 0; r < 3; ++r)
      for (int c = 0; c < 3; ++c) matrix[r][c] = c == column ? t[r] : s[r + c];
    if (column < 0)
      p.a = determinant(matrix);
    else
      solution[column] = determinant(matrix) / p.a;
  }
  p.a = solution[0];
  p.b = solution[1];
  p.c = solution[2];
  return p;
}

}  // namespace

BowlFit fit_bowl(std::vector<BowlPoint> points, double noise, double curvature, double window) {
  std::erase_if(points, [](const BowlPoint& p) { return !std::isfinite(p.loss); });
  if (points.empty()) fail("[lr rule] Every learning rate of the sweep diverged. Lower train.lr.");
  std::sort(points.begin(), points.end(),
            [](const BowlPoint& a, const BowlPoint& b) { return a.lr < b.lr; });
  const auto best =
      std::min_element(points.begin(), points.end(),
                       [](const BowlPoint& a, const BowlPoint& b) { return a.loss < b.loss; });
  const bool at_edge = best == points.begin() || best + 1 == points.end();
  std::vector<double> x, y;
  for (const BowlPoint& p : points)
    if (p.loss <= best->loss * (1.0 + window)) {
      x.push_back(std::log2(p.lr));
      y.push_back(p.loss);
    }
  const double lowest = std::log2(points.front().lr), highest = std::log2(points.back().lr);
  BowlFit fit{.log2_lr = std::log2(best->lr),
              .loss = best->loss,
              .curvature = curvature * best->loss,
              .at_edge = at_edge};
  if (x.size() >= 3) {
    const Parabola p = fit_parabola(x, y);
    if (p.c > 0.2 * fit.curvature) {
      fit.curvature = p.c;
      const double vertex = p.centre - p.b / (2.0 * p.c);
      fit.log2_lr = std::clamp(vertex, lowest, highest);
      const double shift = fit.log2_lr - p.centre;
      fit.loss = p.a + p.b * shift + p.c * shift * shift;
    }
  }
  // Noise in the losses moves the vertex by noise / (curvature * spread of the points).
  double spread = 0.0;
  for (const double v : x) spread += (v - fit.log2_lr) * (v - fit.log2_lr);
  fit.se = noise * best->loss / (2.0 * fit.curvature * std::sqrt(std::max(spread, 0.5))) +
           (at_edge ? 0.5 : 0.05);
  return fit;
}

double LrRule::at(double tokens) const {
  return std::exp2(log2_lr0 + slope * std::log2(tokens / tokens0));
}

LrRule fit_lr_rule(const std::vector<BowlFit>& bowls, const std::vector<double>& tokens,
                   double prior_sd) {
  if (bowls.empty() || bowls.size() != tokens.size())
    fail("[lr rule] A rule needs one horizon per sweep. Received {} sweeps and {} horizons.",
         bowls.size(), tokens.size());
  double weights = 0.0, centre = 0.0, mean = 0.0;
  for (size_t i = 0; i < bowls.size(); ++i) {
    const double w = 1.0 / (bowls[i].se * bowls[i].se);
    weights += w;
    centre += w * std::log2(tokens[i]);
    mean += w * bowls[i].log2_lr;
  }
  centre /= weights;
  mean /= weights;
  double xx = 1.0 / (prior_sd * prior_sd), xy = 0.0;
  for (size_t i = 0; i < bowls.size(); ++i) {
    const double w = 1.0 / (bowls[i].se * bowls[i].se), x = std::log2(tokens[i]) - centre;
    xx += w * x * x;
    xy += w * x * (bowls[i].log2_lr - mean);
  }
  return {.log2_lr0 = mean,
          .slope = xy / xx,
          .slope_se = 1.0 / std::sqrt(xx),
          .tokens0 = std::exp2(centre)};
}

Json to_json(const BowlFit& bowl) {
  return {{"log2_lr", bowl.log2_lr}, {"lr", std::exp2(bowl.log2_lr)}, {"se_log2", bowl.se},
          {"loss", bowl.loss},       {"curvature", bowl.curvature},   {"at_edge", bowl.at_edge}};
}

Json to_json(const LrRule& rule) {
  return {{"formula", "log2 lr = log2_lr0 + slope log2(D / D0)"},
          {"log2_lr0", rule.log2_lr0},
          {"slope", rule.slope},
          {"slope_se", rule.slope_se},
          {"D0", rule.tokens0},
          {"batch_coefficient", rule.batch_coefficient},
          {"batch_formula", "batch_tokens = batch_coefficient sqrt(D)"}};
}

}  // namespace rung
