#include <algorithm>
#include <cmath>

#include "core/files.h"
#include "core/sorted_quantile.h"
#include "study/compare.h"
#include "study/crossing.h"
#include "study/prediction_file.h"
#include "study/ranking.h"

namespace rung {
namespace {

constexpr double beyond = 100.0;  // times the largest run: how far the comparison looks
constexpr int points = 49;

// Single runs that were timed alone; none where the climbs ran in turn.
std::vector<RunRecord> timed_runs(const fs::path& folder) {
  std::vector<RunRecord> runs;
  if (!fs::exists(folder / "alone.json")) return runs;
  const Json timed = read_json(folder / "alone.json");
  for (const Json& point : timed.at("points")) {
    RunRecord run{};
    run.N = point.at("N").get<int64_t>();
    run.C = point.at("C").get<double>();
    run.seconds = point.at("seconds").get<double>();
    runs.push_back(run);
  }
  return runs;
}

// What a climb's prediction missed (Contender::missed); 0 where its target has not been trained.
double missed_by(const Json& prediction, const std::vector<RunRecord>& runs) {
  std::vector<RunRecord> ladder;
  const RunRecord* target = nullptr;
  double largest = 0.0, seed_sd = 0.0;
  for (const RunRecord& r : runs) {
    if (r.kind == "target") {
      target = &r;
      continue;
    }
    ladder.push_back(r);
    largest = std::max(largest, static_cast<double>(r.N));
  }
  if (!target || ladder.empty()) return 0.0;
  rung_deviations(ladder, seed_sd);
  const double error = std::log(prediction.at("loss").get<double>() / target->L);
  return std::sqrt(std::max(0.0, error * error - seed_sd * seed_sd)) /
         std::log(static_cast<double>(target->N) / largest);
}

Contender read_contender(const fs::path& folder) {
  Contender contender{.name = folder.filename().string(), .runs = {}};
  for (const RunRecord& r : read_runs(folder / "runs.csv"))
    if ((r.kind == "ladder" || r.kind == "target") && std::isfinite(r.L))
      contender.runs.push_back(r);
  contender.missed = missed_by(read_prediction(folder), contender.runs);
  return contender;
}

std::vector<double> log_grid(double from, double to) {
  std::vector<double> grid;
  for (int i = 0; i < points; ++i) grid.push_back(from * std::pow(to / from, i / (points - 1.0)));
  return grid;
}

// All contenders over one axis: FLOPs or seconds of one training run.
struct Axis {
  std::string name, unit;
  std::vector<double> values;
  std::vector<LossCurve> curves;
};

// `spent_at` gives a path's value of the axis at its FLOPs, `flops_in` the FLOPs of a value.
template <class SpentAt, class FlopsIn>
Axis axis_over(const std::string& name, const std::string& unit,
               const std::vector<Contender>& contenders, const std::vector<SpentPath>& paths,
               const SpentAt& spent_at, const FlopsIn& flops_in) {
  double from = 0.0, to = 0.0;
  for (const SpentPath& path : paths) {
    from = std::max(from, spent_at(path, path.least()));
    to = std::max(to, spent_at(path, path.most()));
  }
  Axis axis{.name = name, .unit = unit, .values = log_grid(from, beyond * to), .curves = {}};
  for (size_t i = 0; i < contenders.size(); ++i) {
    std::vector<double> N;
    for (const double value : axis.values) N.push_back(paths[i].N_at(flops_in(paths[i], value)));
    axis.curves.push_back(loss_curve(contenders[i], N, {}));
  }
  return axis;
}

std::vector<Axis> axes_of(const std::vector<Contender>& contenders,
                          const std::vector<SpentPath>& paths) {
  const auto same = [](const SpentPath&, double flops) { return flops; };
  const auto seconds = [](const SpentPath& path, double flops) { return path.seconds_at(flops); };
  const auto back = [](const SpentPath& path, double spent) { return path.flops_in(spent); };
  return {axis_over("flops", "FLOP", contenders, paths, same, same),
          axis_over("seconds", "s", contenders, paths, seconds, back)};
}

Json band(const Axis& axis, size_t contender) {
  Json rows = Json::array();
  const LossCurve& curve = axis.curves[contender];
  for (size_t i = 0; i < axis.values.size(); ++i) {
    std::vector<double> at;
    for (const auto& draw : curve.draws) at.push_back(draw[i]);
    std::sort(at.begin(), at.end());
    rows.push_back(
        {axis.values[i], curve.loss[i], sorted_quantile(at, 0.05), sorted_quantile(at, 0.95)});
  }
  return rows;
}

const RunRecord* target_of(const Contender& contender) {
  for (const RunRecord& r : contender.runs)
    if (r.kind == "target") return &r;
  return nullptr;
}

// At `flops[i]` FLOPs of contender i, which are the most of the axis that every contender's largest
// run has spent. `measured`: of a target that was trained on just so many.
Json ranking_json(const std::vector<Contender>& contenders, const Axis& axis, double at,
                  const std::vector<double>& flops) {
  Json json{{"at", at}, {"standings", Json::array()}};
  for (const Standing& s : standings(contenders, axis.curves, axis.values, at)) {
    Json standing{{"name", s.name}, {"loss", s.loss}, {"lo", s.lo}, {"hi", s.hi}};
    for (size_t i = 0; i < contenders.size(); ++i)
      if (const RunRecord* target = target_of(contenders[i]);
          target && contenders[i].name == s.name && std::fabs(target->C / flops[i] - 1.0) < 1e-6)
        standing["measured"] = target->L;
    json["standings"].push_back(standing);
  }
  return json;
}

Json rankings(const std::vector<Contender>& contenders, const std::vector<SpentPath>& paths,
              const std::vector<Axis>& axes) {
  double flops = INFINITY, seconds = INFINITY;
  for (const SpentPath& path : paths) {
    flops = std::min(flops, path.most());
    seconds = std::min(seconds, path.seconds_at(path.most()));
  }
  std::vector<double> in_seconds;
  for (const SpentPath& path : paths) in_seconds.push_back(path.flops_in(seconds));
  const std::vector<double> equal(paths.size(), flops);
  return {{"flops", ranking_json(contenders, axes[0], flops, equal)},
          {"seconds", ranking_json(contenders, axes[1], seconds, in_seconds)}};
}

// The law of all runs at the target, unless another's smallest rung is larger than that.
void add_law_at_target(Json& json, const RunRecord& target, const LossCurve& curve,
                       const Axis& axis) {
  if (target.C < axis.values.front()) return;
  const Standing law = standing_at(axis.name, curve, axis.values, target.C);
  json["law_at_target"] = {{"loss", law.loss},
                           {"lo", law.lo},
                           {"hi", law.hi},
                           {"inside", law.lo <= target.L && target.L <= law.hi}};
}

Json contender_json(const Contender& contender, const fs::path& folder, const SpentPath& path,
                    const LossCurve& curve, const Axis& axis) {
  Json json{{"name", contender.name}, {"folder", folder.string()}};
  Json runs = Json::array();
  for (const RunRecord& r : contender.runs)
    runs.push_back({{"kind", r.kind}, {"N", r.N}, {"D", r.D}, {"C", r.C}, {"L", r.L}});
  json["runs"] = runs;
  const Json prediction = read_prediction(folder);
  json["target"] = prediction.at("target");
  json["predicted"] = {
      {"loss", prediction.at("loss")}, {"lo", prediction.at("lo")}, {"hi", prediction.at("hi")}};
  double largest = 0.0;
  for (const RunRecord& r : contender.runs)
    if (r.kind == "ladder") largest = std::max(largest, r.C);
  json["extrapolation_flops"] = prediction.at("target").at("C").get<double>() / largest;
  if (const RunRecord* target = target_of(contender)) {
    json["measured"] = {{"loss", target->L}, {"se", json_number(target->L_se)}};
    judge(json, target->L);
    add_law_at_target(json, *target, curve, axis);
    json["flops_per_second"] = json_number(target->C / path.seconds_at(target->C));
  }
  return json;
}

// A line for each prediction of an alternative whose range does not hold its target.
Json range_warnings(const Json& alternatives) {
  Json warnings = Json::array();
  for (const Json& a : alternatives)
    if (a.contains("measured") && !a.at("inside").get<bool>())
      warnings.push_back(fmt::format(
          "{}: its target measured {:.4f}, outside {:.4f} .. {:.4f}, the 90 % range of its "
          "prediction",
          a.at("name").get<std::string>(), a.at("measured").at("loss").get<double>(),
          a.at("predicted").at("lo").get<double>(), a.at("predicted").at("hi").get<double>()));
  return warnings;
}

Json comparison_json(const Comparison& c) {
  Json json{{"verdict", c.verdict}, {"ahead", c.ahead}};
  if (c.crossing)
    json["crossing"] = {
        {"value", c.crossing->value}, {"lo", c.crossing->lo}, {"hi", c.crossing->hi}};
  return json;
}

Json pair_json(const std::vector<Contender>& contenders, const std::vector<Axis>& axes, size_t a,
               size_t b) {
  Json json{{"first", contenders[a].name}, {"second", contenders[b].name}};
  for (const Axis& axis : axes)
    json[axis.name] =
        comparison_json(compare_curves(contenders[a].name, axis.curves[a], contenders[b].name,
                                       axis.curves[b], axis.values, axis.unit));
  double pooled = 0.0;
  const auto rungs = [&](const Contender& c) {
    return rung_means(c.runs, rung_deviations(c.runs, pooled));
  };
  json["shared_E_probability"] =
      shared_offset_probability(rungs(contenders[a]), rungs(contenders[b]));
  return json;
}

}  // namespace

Json compare_folders(const std::vector<fs::path>& climbs) {
  std::vector<Contender> contenders;
  std::vector<SpentPath> paths;
  for (const fs::path& folder : climbs) {
    contenders.push_back(read_contender(folder));
    paths.emplace_back(contenders.back().runs, timed_runs(folder));
  }
  if (contenders.size() < 2) return {};
  const std::vector<Axis> axes = axes_of(contenders, paths);
  Json json{{"kind", "comparison"}, {"alternatives", Json::array()}, {"pairs", Json::array()}};
  for (size_t i = 0; i < contenders.size(); ++i) {
    Json entry =
        contender_json(contenders[i], climbs[i], paths[i], axes.front().curves[i], axes.front());
    for (const Axis& axis : axes) entry["curve_" + axis.name] = band(axis, i);
    json["alternatives"].push_back(entry);
    for (size_t k = 0; k < i; ++k) json["pairs"].push_back(pair_json(contenders, axes, k, i));
  }
  json["ranking"] = rankings(contenders, paths, axes);
  json["warnings"] = range_warnings(json["alternatives"]);
  return json;
}

}  // namespace rung
