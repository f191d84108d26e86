// Approach 1, the envelope of training curves: every run's smoothed loss against its FLOPs,
// interpolated on a common grid; at each grid point the lowest run gives N_opt(C), its tokens
// D_opt(C) and its loss L_opt(C), through which N_opt, D_opt = k C^a and L_opt = E + A C^-alpha go.
// Source: Hoffmann et al. 2022, "Training Compute-Optimal Large Language Models", section 3.1.
// Where the smallest or the largest size wins, the optimum may lie beyond: those stretches are
// left out. Curves whose learning rate has not decayed lie too high; the table must hold none.
#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "law/procedures/compute_optimal.h"
#include "law/procedures/procedures.h"
#include "law/regression.h"

namespace rung {
namespace {

constexpr std::string_view envelope_source = "Hoffmann et al. 2022, section 3.1 (approach 1)";
constinit const Law envelope_size_law = optimal_size_law("envelope.N_opt", envelope_source);
constinit const Law envelope_data_law = optimal_data_law("envelope.D_opt", envelope_source);
constinit const Law envelope_loss_law = optimal_loss_law("envelope.L_opt", envelope_source);
constexpr const Law* envelope_laws[] = {&envelope_size_law, &envelope_data_law, &envelope_loss_law};

constexpr std::string_view run_aliases[] = {"run", "run_id", "experiment"};
constexpr RawColumn envelope_columns[] = {
    {"N"}, {"D"}, {"C"}, {"L"}, {"run", ColumnKind::label, true, run_aliases}};
constexpr ProcedureSetting envelope_settings[] = {
    {"grid", "FLOPs at which the lowest run is sought", 256},
    {"window", "points of a curve that its smoothing parabola sees", 7},
};

// One run's curve, ascending in FLOPs, smoothed.
struct Curve {
  double size = 0.0;
  std::vector<size_t> rows;
  std::vector<double> flops, tokens, loss;  // logarithms
  double at(double log_flops, const std::vector<double>& values) const {
    const size_t above =
        std::clamp<size_t>(std::upper_bound(flops.begin(), flops.end(), log_flops) - flops.begin(),
                           1, flops.size() - 1);
    const double t = (log_flops - flops[above - 1]) / (flops[above] - flops[above - 1]);
    return values[above - 1] + t * (values[above] - values[above - 1]);
  }
};

// Each point's value on the parabola through its window.
std::vector<double> smooth(const std::vector<double>& x, const std::vector<double>& y,
                           size_t window) {
  const size_t n = x.size(), width = std::min(window, n);
  if (width < 5) return y;
  std::vector<double> result(n);
  for (size_t i = 0; i < n; ++i) {
    const size_t first = std::min(i > width / 2 ? i - width / 2 : 0, n - width);
    Eigen::MatrixXd design(width, 3);
    for (size_t j = 0; j < width; ++j) {
      const double t = x[first + j] - x[i];
      design.row(j) << 1.0, t, t * t;
    }
    const std::vector<double> part(y.begin() + first, y.begin() + first + width);
    result[i] = least_squares(design, part).coefficients[0];
  }
  return result;
}

std::vector<Curve> read_curves(const RawRows& rows, size_t window) {
  std::vector<Curve> curves;
  const auto runs = group_values(rows.has("run") ? rows["run"] : rows["N"], 0.0);
  for (std::vector<size_t> members : runs) {
    std::stable_sort(members.begin(), members.end(),
                     [&](size_t a, size_t b) { return rows["C"][a] < rows["C"][b]; });
    const auto repeat = [&](size_t a, size_t b) { return rows["C"][a] == rows["C"][b]; };
    members.erase(std::unique(members.begin(), members.end(), repeat), members.end());
    if (members.size() < 2) continue;
    Curve curve{.size = rows["N"][members.front()], .rows = members};
    curve.flops = logs_of(pick(rows["C"], members));
    curve.tokens = logs_of(pick(rows["D"], members));
    curve.loss = smooth(curve.flops, logs_of(pick(rows["L"], members)), window);
    curves.push_back(std::move(curve));
  }
  return curves;
}

// The lowest curve at each grid point, where sizes on both sides of it compete.
std::vector<OptimumAt> lower_envelope(const std::vector<Curve>& curves, int grid,
                                      std::map<double, int>& wins) {
  std::vector<OptimumAt> optima;
  double lo = unbounded, hi = -unbounded;
  for (const Curve& curve : curves) {
    lo = std::min(lo, curve.flops.front());
    hi = std::max(hi, curve.flops.back());
  }
  for (int i = 0; i < grid; ++i) {
    const double at = lo + (hi - lo) * i / std::max(1, grid - 1);
    const Curve* best = nullptr;
    double least = unbounded, smallest = unbounded, largest = 0.0;
    for (const Curve& curve : curves) {
      if (at < curve.flops.front() || at > curve.flops.back()) continue;
      smallest = std::min(smallest, curve.size);
      largest = std::max(largest, curve.size);
      const double value = curve.at(at, curve.loss);
      if (value < least) least = value, best = &curve;
    }
    if (!best || best->size <= smallest || best->size >= largest) continue;
    ++wins[best->size];
    optima.push_back({.flops = std::exp(at),
                      .size = best->size,
                      .tokens = std::exp(best->at(at, best->tokens)),
                      .loss = std::exp(least)});
  }
  return optima;
}

Derivation derive_envelope(const RawRows& rows, const Settings& settings) {
  Derivation derivation;
  derivation.fitted.assign(rows.rows.size(), std::nan(""));
  derivation.group.assign(rows.rows.size(), -1);
  const size_t window = static_cast<size_t>(std::max(1.0, settings.at("window")));
  const std::vector<Curve> curves = read_curves(rows, window);
  double squares = 0.0;
  for (size_t c = 0; c < curves.size(); ++c) {
    const Curve& curve = curves[c];
    for (size_t i = 0; i < curve.rows.size(); ++i) {
      derivation.fitted[curve.rows[i]] = std::exp(curve.loss[i]);
      derivation.group[curve.rows[i]] = static_cast<int>(c);
      squares += std::pow(std::log(rows["L"][curve.rows[i]]) - curve.loss[i], 2);
    }
    // A parabola over a window of w points takes 9/(4 w) of each point for itself, 3/w at least.
    if (curve.rows.size() >= 5)
      derivation.freedom +=
          static_cast<double>(curve.rows.size()) *
          std::max(0.1, 1.0 - 3.0 / std::min<double>(static_cast<double>(window),
                                                     static_cast<double>(curve.rows.size())));
  }
  derivation.noise = std::sqrt(squares / std::max(1.0, derivation.freedom));
  std::map<double, int> wins;
  const std::vector<OptimumAt> optima =
      lower_envelope(curves, static_cast<int>(settings.at("grid")), wins);
  Json sizes = Json::array();
  for (const auto& [size, count] : wins) sizes.push_back({{"N", size}, {"grid_points", count}});
  derivation.record["curves"] = curves.size();
  derivation.record["winners"] = sizes;
  if (wins.size() < 3)
    derivation.diagnostics.push_back(
        {"too-few-winners", Severity::refusal,
         fmt::format("{} sizes are lowest somewhere with smaller and larger ones beside them; "
                     "N_opt = k C^a needs 3. Add sizes, or longer runs of the small ones.",
                     wins.size())});
  else
    derivation.parts = optimum_parts(envelope_laws, optima, false);
  return derivation;
}

void review_envelope(const RawRows& rows, const Settings& settings, Fit& fit) {
  review_bias(envelope_procedure, rows, settings, fit);
}

}  // namespace

constinit const Procedure envelope_procedure = {
    .name = "envelope",
    .formula = "N_opt, D_opt = k C^a, L_opt = E + A C^-alpha through the lowest curves",
    .source = envelope_source,
    .identifiable =
        "training curves of 5 or more sizes that cross: 3 of them lowest somewhere "
        "between smaller and larger ones",
    .columns = envelope_columns,
    .measured = "L",
    .laws = envelope_laws,
    .settings = envelope_settings,
    .derive = derive_envelope,
    .review = review_envelope,
};

}  // namespace rung
