// What a fit minimises: sum_i w_i rho(r_i), with r_i = ln(prediction / measured) or, raw, their
// difference.
//   huber-log          logs, rho = r^2/2 for |r| <= delta, delta (|r| - delta/2) beyond; summed
//   huber              the same on raw residuals
//   mae-asymmetric     raw, |r|, ten times as much where the prediction is too high; mean
//   quantile           logs, tau |r| below the data, (1 - tau) |r| above them: the tau-quantile
//   least-squares      logs, rho = r^2/2; with weights 1/variance half the chi-square
//   raw-least-squares  the same on raw residuals
#pragma once
#include <cmath>
#include <span>
#include <string_view>

namespace rung {

enum class Penalty { square, huber, kinked };

struct Objective {
  std::string_view name, summary;
  bool log_residual = true;
  Penalty penalty = Penalty::huber;
  bool mean = false;               // divided by the sum of the weights
  double delta = 1e-3;             // Huber's threshold, in the residual's unit
  double over = 1.0, under = 1.0;  // kinked: slopes where the prediction is too high, too low
  double smoothing = 0;            // kinked: rounds 0 off within this residual (0: exact)
};

std::span<const Objective> objectives();
Objective find_objective(std::string_view name);  // fails (usage), naming the nearest

// rho, rho', rho'' and rho'(r)/r (the curvature of the parabola that touches rho at r and lies
// above it).
struct PenaltyJet {
  double value, slope, curvature, majorizer;
};

// Without branches: which side of delta a row lies on is hard to guess.
inline PenaltyJet huber_jet(double r, double delta) {
  const double a = std::fabs(r);
  const double within = a < delta ? a : delta, beyond = a < delta ? delta : a;
  return {within * (a - 0.5 * within), std::copysign(within, r), a <= delta ? 1.0 : 0.0,
          delta / beyond};
}

inline PenaltyJet penalty_jet(const Objective& objective, double r) {
  if (objective.penalty == Penalty::square) return {0.5 * r * r, r, 1.0, 1.0};
  if (objective.penalty == Penalty::huber) return huber_jet(r, objective.delta);
  const double side = r > 0.0 ? objective.over : objective.under;
  if (objective.smoothing <= 0.0)
    return {side * std::fabs(r), std::copysign(side, r), 0.0,
            side / std::fmax(std::fabs(r), 1e-300)};
  PenaltyJet jet = huber_jet(r, objective.smoothing);
  const double scale = side / objective.smoothing;
  return {scale * jet.value, scale * jet.slope, scale * jet.curvature, scale * jet.majorizer};
}

}  // namespace rung
