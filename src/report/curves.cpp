#include "report/curves.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "core/error.h"
#include "core/events.h"
#include "report/climb_files.h"

namespace rung {
namespace {

constexpr int ladder_points = 160, sweep_points = 48;

using Points = std::vector<std::pair<double, double>>;

// Training loss by member; `loss` is a number, or an array with one entry a member.
std::vector<Points> members_of(const std::filesystem::path& path) {
  std::vector<Points> members;
  for (const auto& event : read_json_lines(path)) {
    if (text_at(event, "event") != "step" || !event.contains("loss")) continue;
    const double tokens = number_at(event, "tokens");
    if (!(tokens > 0)) continue;
    const auto add = [&](size_t member, const Json& loss) {
      if (members.size() <= member) members.resize(member + 1);
      if (loss.is_number()) members[member].emplace_back(tokens, loss.get<double>());
    };
    const auto& loss = event["loss"];
    if (loss.is_array())
      for (size_t i = 0; i < loss.size(); ++i) add(i, loss[i]);
    else
      add(0, loss);
  }
  return members;
}

// Mean over members at equal tokens; members that diverged (no number) drop out.
Points mean_of(const std::vector<Points>& members) {
  std::map<double, std::pair<double, int>> sums;
  for (const auto& member : members)
    for (const auto& [x, y] : member) sums[x].first += y, ++sums[x].second;
  Points mean;
  for (const auto& [x, sum] : sums) mean.emplace_back(x, sum.first / sum.second);
  return mean;
}

void add_run(ClimbFiles& files, const std::filesystem::path& folder, const std::string& name) {
  const auto path = folder / "log.jsonl";
  if (!std::filesystem::exists(path)) return;
  ReportCurve curve{name, name == "target" ? "target" : "ladder"};
  // runs.csv holds the runs that have ended, the plan also the one that trains.
  if (files.plan.is_object())
    for (const Json& run : files.plan.value("runs", Json::array()))
      if (text_at(run, "run") == name)
        curve.kind = text_at(run, "kind", curve.kind), curve.N = number_at(run, "N");
  for (const auto& run : files.runs)
    if (run.run == name) curve.kind = run.kind, curve.N = run.N;
  try {
    const auto members = members_of(path);
    if (curve.kind == "sweep") {
      for (size_t i = 0; i < members.size(); ++i) {
        curve.name = name + " #" + std::to_string(i);
        curve.points = thin_curve(members[i], sweep_points);
        if (!curve.points.empty()) files.curves.push_back(curve);
      }
      return;
    }
    curve.points = thin_curve(mean_of(members), ladder_points);
    if (!curve.points.empty()) files.curves.push_back(curve);
  } catch (const Error& error) {
    files.notes.push_back(error.what());
  }
}

}  // namespace

Points thin_curve(const Points& points, int buckets) {
  Points kept, result;
  for (const auto& point : points)
    if (point.first > 0 && std::isfinite(point.second)) kept.push_back(point);
  if (kept.size() <= static_cast<size_t>(buckets)) return kept;
  const double first = std::log(kept.front().first), last = std::log(kept.back().first);
  double sum_x = 0, sum_y = 0;
  int count = 0, bucket = 0;
  const auto flush = [&] {
    if (count > 0) result.emplace_back(sum_x / count, sum_y / count);
    sum_x = sum_y = 0;
    count = 0;
  };
  for (const auto& [x, y] : kept) {
    const double share = last > first ? (std::log(x) - first) / (last - first) : 0.0;
    const int at = std::min(buckets - 1, static_cast<int>(share * buckets));
    if (at != bucket) flush(), bucket = at;
    sum_x += x, sum_y += y, ++count;
  }
  flush();
  return result;
}

void read_curves(ClimbFiles& files) {
  const auto runs = files.folder / "runs";
  std::vector<std::filesystem::path> folders;
  if (std::filesystem::is_directory(runs))
    for (const auto& entry : std::filesystem::directory_iterator(runs))
      if (entry.is_directory()) folders.push_back(entry.path());
  std::sort(folders.begin(), folders.end());
  for (const auto& folder : folders) add_run(files, folder, folder.filename().string());
  add_run(files, files.folder / "target", "target");
}

}  // namespace rung
