#include "study/compare.h"

#include <algorithm>
#include <cmath>

#include "core/clock.h"
#include "core/error.h"
#include "core/files.h"
#include "report/compare_page.h"
#include "study/crossing.h"
#include "study/rate.h"

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

Contender read_contender(const fs::path& folder) {
  Contender contender{.name = folder.filename().string(), .runs = {}};
  for (const RunRecord& r : read_runs(folder / "runs.csv"))
    if ((r.kind == "ladder" || r.kind == "target") && std::isfinite(r.L))
      contender.runs.push_back(r);
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
    const auto quantile = [&](double q) {
      return at[static_cast<size_t>(q * static_cast<double>(at.size() - 1))];
    };
    rows.push_back({axis.values[i], curve.loss[i], quantile(0.05), quantile(0.95)});
  }
  return rows;
}

Json contender_json(const Contender& contender, const fs::path& folder, const SpentPath& path) {
  Json json{{"name", contender.name}, {"folder", folder.string()}};
  Json runs = Json::array();
  for (const RunRecord& r : contender.runs)
    runs.push_back({{"kind", r.kind}, {"N", r.N}, {"D", r.D}, {"C", r.C}, {"L", r.L}});
  json["runs"] = runs;
  const Json prediction = read_json(folder / "prediction.json");
  json["target"] = prediction.at("target");
  json["predicted"] = {
      {"loss", prediction.at("loss")}, {"lo", prediction.at("lo")}, {"hi", prediction.at("hi")}};
  double largest = 0.0;
  for (const RunRecord& r : contender.runs)
    if (r.kind == "ladder") largest = std::max(largest, r.C);
  json["extrapolation_flops"] = prediction.at("target").at("C").get<double>() / largest;
  for (const RunRecord& r : contender.runs)
    if (r.kind == "target") {
      json["measured"] = {{"loss", r.L}, {"se", json_number(r.L_se)}};
      judge(json, r.L);
      json["flops_per_second"] = json_number(r.C / path.seconds_at(r.C));
    }
  return json;
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
    Json entry = contender_json(contenders[i], climbs[i], paths[i]);
    for (const Axis& axis : axes) entry["curve_" + axis.name] = band(axis, i);
    json["alternatives"].push_back(entry);
    for (size_t k = 0; k < i; ++k) json["pairs"].push_back(pair_json(contenders, axes, k, i));
  }
  return json;
}

namespace {

// Writes what the climbs that are done say; nothing with fewer than two.
Json write_comparison(const fs::path& folder, const std::vector<fs::path>& done) {
  const Json json = compare_folders(done);
  if (json.is_null()) return json;
  write_json(folder / "compare.json", json);
  write_file(folder / "compare.html", compare_page(json, folder.filename().string()));
  return json;
}

// A share that is too small for one alternative ends the comparison before anything is trained.
void check_shares(const std::vector<NamedClimb>& alternatives) {
  for (const NamedClimb& alternative : alternatives) {
    if (alternative.request.plan.flops <= 0.0) continue;
    try {
      plan_only(alternative.request);
    } catch (const Error& error) {
      throw Error(fmt::format("{} (The share of {}, one of {} alternatives.)", error.what(),
                              alternative.name, alternatives.size()),
                  error.kind);
    }
  }
}

void place(const fs::path& folder, bool together, std::vector<NamedClimb>& alternatives) {
  const double share = 1.0 / static_cast<double>(alternatives.size());
  for (NamedClimb& alternative : alternatives) {
    ClimbRequest& request = alternative.request;
    request.folder = folder / alternative.name;
    request.company = together;
    if (!together) request.seconds *= share;
    request.plan.flops *= share;
    const bool begun = fs::exists(request.folder / "plan.json");
    if (begun && !request.resume)
      fail(
          "[compare] {} holds a climb already. Continue it with --resume, or choose another --out.",
          request.folder.string());
    request.resume = begun;
  }
}

// What the smallest rung, the largest and the target take when nothing else runs.
void time_alone(ClimbRequest request) {
  const fs::path path = request.folder / "alone.json";
  if (fs::exists(path)) return;
  request.plan.flops = read_json(request.folder / "plan.json").at("flops").get<double>();
  const ClimbPlan plan = plan_only(request).plan;
  ClimbOptions options = plan.options;
  options.batch_coefficient =
      read_json(request.folder / "rule.json").at("rule").at("batch_coefficient").get<double>();
  const auto source = open_source(request.base.data, request.cache, 1);
  const Machine machine = make_machine(request.base.device, request.threads);
  Json points = Json::array();
  for (const PathPoint& planned :
       {plan.ladder.front().point, plan.ladder.back().point, plan.target.point}) {
    const PathPoint point = path_point(request.base, source->vocabulary(), planned.width, options);
    points.push_back({{"N", point.N},
                      {"C", point.C},
                      {"seconds", seconds_alone(request.base, source, machine, options, point)}});
  }
  write_json(path, {{"points", points}});
}

}  // namespace

ClimbOutcome compare_climbs(const fs::path& folder, std::vector<NamedClimb> alternatives,
                            bool together, const ClimbHooks& hooks) {
  const auto start = Clock::now();
  fs::create_directories(folder);
  place(folder, together, alternatives);
  check_shares(alternatives);
  if (together) {
    // Text is made ready once, out of everybody's time.
    const ClimbRequest& first = alternatives.front().request;
    open_source(first.base.data, first.cache, 1);
    for (NamedClimb& alternative : alternatives)
      alternative.request.seconds -= seconds_since(start);
  }
  std::vector<bool> is_done(alternatives.size());
  Json json;
  const auto write = [&] {
    std::vector<fs::path> done;
    for (size_t i = 0; i < alternatives.size(); ++i)
      if (is_done[i]) done.push_back(alternatives[i].request.folder);
    json = write_comparison(folder, done);
  };
  const auto finished = [&](size_t i) {
    is_done[i] = true;
    write();
  };
  if (!(together ? climb_together : climb_in_turn)(alternatives, hooks, finished))
    return {.json = {{"status", "interrupted"}, {"out", folder.string()}}, .interrupted = true};
  if (together) {
    for (const NamedClimb& alternative : alternatives) time_alone(alternative.request);
    write();
  }
  json["status"] = "done";
  json["out"] = folder.string();
  return {.json = json};
}

}  // namespace rung
