#include "study/compare.h"

#include <algorithm>

#include "core/clock.h"
#include "core/error.h"
#include "core/files.h"
#include "core/folder.h"
#include "core/json_field.h"
#include "report/compare_page.h"
#include "study/rate.h"

namespace rung {
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
    const bool planned = alternative.request.resume;
    if (planned || alternative.request.plan.flops <= 0.0) continue;
    try {
      plan_only(alternative.request);
    } catch (const Error& error) {
      throw in_climb(error, alternative.name, alternatives.size());
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

// Before they begin together. They share their data, device and threads.
void set_priorities(const fs::path& folder, std::vector<NamedClimb>& alternatives,
                    const std::shared_ptr<const TokenSource>& source) {
  const ClimbRequest& first = alternatives.front().request;
  if (first.base.device != "cuda") return;
  const Machine machine = make_machine(first.base.device, first.threads);
  std::vector<std::string> names;
  for (const NamedClimb& alternative : alternatives) names.push_back(alternative.name);
  const auto pace = [&](size_t i) {
    const ClimbRequest& request = alternatives[i].request;
    return pace_alone(request.base, source, machine, request.plan);
  };
  const std::vector<int> priorities =
      priorities_by_pace(kept_paces(folder / "paces.json", names, pace));
  for (size_t i = 0; i < alternatives.size(); ++i) alternatives[i].request.priority = priorities[i];
}

// What the smallest rung, the largest and the target take when nothing else runs.
void time_alone(ClimbRequest request) {
  const fs::path path = request.folder / "alone.json";
  if (fs::exists(path)) return;
  request.plan.flops = read_field(request.folder / "plan.json", "flops").get<double>();
  const ClimbPlan plan = plan_only(request).plan;
  ClimbOptions options = plan.options;
  options.batch_coefficient =
      read_field(request.folder / "rule.json", "rule").at("batch_coefficient").get<double>();
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
  place(folder, together, alternatives);
  check_shares(alternatives);
  make_folder(folder, "compare");
  if (together) {
    // Text is made ready once, out of everybody's time.
    const ClimbRequest& first = alternatives.front().request;
    set_priorities(folder, alternatives, open_source(first.base.data, first.cache, 1));
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
