#include "report/climb_files.h"

#include <cmath>
#include <cstdlib>
#include <limits>
#include <map>

#include "core/error.h"
#include "core/events.h"
#include "core/files.h"
#include "core/hash.h"
#include "report/curves.h"

namespace rung {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

const Json* find_at(const Json& json, const std::string& path) {
  const Json* at = &json;
  for (size_t from = 0; from <= path.size();) {
    const size_t to = std::min(path.find('/', from), path.size());
    const auto key = path.substr(from, to - from);
    if (!at->is_object() || !at->contains(key)) return nullptr;
    at = &(*at)[key];
    from = to + 1;
  }
  return at;
}

// A file that is broken is a note on the page, not the end of it.
template <class Read>
void read_part(ClimbFiles& files, const fs::path& path, Read&& read) {
  if (!fs::exists(path)) return;
  try {
    read(path);
  } catch (const std::exception& error) {
    files.notes.push_back(error.what());
  }
}

double cell_number(const std::string& text) {
  if (text.empty()) return nan;
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  return *end == '\0' ? value : nan;
}

ReportRun run_of(const std::map<std::string, std::string>& cells) {
  const auto text = [&](const char* key) {
    const auto it = cells.find(key);
    return it == cells.end() ? std::string() : it->second;
  };
  const auto number = [&](const char* key) { return cell_number(text(key)); };
  ReportRun run{text("run"), text("member"), text("kind"), text("status")};
  const auto used = text("used");
  run.used = used != "0" && used != "false" && used != "no";
  run.width = number("width"), run.depth = number("depth");
  run.N = number("N"), run.D = number("D"), run.C = number("C");
  run.lr = number("lr"), run.batch_tokens = number("batch_tokens");
  run.loss = number("L"), run.loss_se = number("L_se"), run.seed_sd = number("seed_sd");
  run.bits_per_byte = number("bits_per_byte"), run.seconds = number("seconds");
  return run;
}

void read_runs(ClimbFiles& files, const fs::path& path) {
  const auto rows = read_csv(read_file(path), path.string());
  if (rows.empty()) return;
  for (size_t i = 1; i < rows.size(); ++i) {
    if (rows[i].size() < rows[0].size())
      continue;  // torn last line of a file that is being written
    std::map<std::string, std::string> cells;
    for (size_t k = 0; k < rows[0].size(); ++k) cells[rows[0][k]] = rows[i][k];
    files.runs.push_back(run_of(cells));
  }
}

void read_state(ClimbFiles& files) {
  for (const auto& event : files.log) {
    const auto name = text_at(event, "event");
    if (name == "stage") {
      files.stage = text_at(event, "stage");
      files.status.clear();  // a resumed climb runs again
    }
    if (name == "end") files.status = text_at(event, "status", "done");
  }
}

}  // namespace

double number_at(const Json& json, const std::string& path) {
  const Json* at = find_at(json, path);
  return at && at->is_number() ? at->get<double>() : nan;
}

std::string text_at(const Json& json, const std::string& path, const std::string& otherwise) {
  const Json* at = find_at(json, path);
  return at && at->is_string() ? at->get<std::string>() : otherwise;
}

bool truth_at(const Json& json, const std::string& path, bool otherwise) {
  const Json* at = find_at(json, path);
  if (at && at->is_boolean()) return at->get<bool>();
  return at && at->is_number() ? at->get<double>() != 0 : otherwise;
}

ClimbFiles read_climb_files(const fs::path& folder) {
  if (!fs::is_directory(folder))
    fail("[report] The folder does not exist. Received {}.", folder.string());
  ClimbFiles files;
  files.folder = folder;
  read_part(files, folder / "config.toml", [&](const fs::path& p) { files.config = read_file(p); });
  const std::pair<const char*, Json*> documents[] = {{"plan.json", &files.plan},
                                                     {"fit.json", &files.fit},
                                                     {"prediction.json", &files.prediction},
                                                     {"audit.json", &files.audit}};
  for (const auto& [name, json] : documents)
    read_part(files, folder / name, [json = json](const fs::path& p) { *json = read_json(p); });
  // The bowls' optima are what the climb found, not what the page would compute again.
  read_part(files, folder / "rule.json", [&](const fs::path& p) {
    if (files.plan.is_object()) files.plan["optima"] = read_json(p).at("optima");
  });
  read_part(files, folder / "log.jsonl",
            [&](const fs::path& p) { files.log = read_json_lines(p); });
  read_part(files, folder / "runs.csv", [&](const fs::path& p) { read_runs(files, p); });
  read_part(files, folder / "prediction.json",
            [&](const fs::path& p) { files.prediction_sha256 = sha256_file(p); });
  read_state(files);
  read_curves(files);
  return files;
}

std::optional<Measured> measured_target(const ClimbFiles& files) {
  Measured measured;
  double sum = 0, squares = 0, sampling = 0, seed_sd = 0;
  for (const auto& run : files.runs) {
    if (run.kind != "target" || !std::isfinite(run.loss)) continue;
    ++measured.members;
    sum += run.loss, squares += run.loss * run.loss;
    if (std::isfinite(run.loss_se)) sampling = run.loss_se;
    if (std::isfinite(run.seed_sd)) seed_sd = run.seed_sd;
  }
  if (measured.members > 0) {
    const double n = measured.members;
    measured.loss = sum / n;
    const double variance =
        n > 1 ? std::max(0.0, (squares - sum * sum / n) / (n - 1)) : seed_sd * seed_sd;
    measured.se = std::sqrt(sampling * sampling + variance / n);
    return measured;
  }
  // A target trained elsewhere, as the last `rung verify` had it: a slip is mended by another one.
  for (auto event = files.log.rbegin(); event != files.log.rend(); ++event)
    if (std::isfinite(number_at(*event, "measured/loss"))) {
      const double se = number_at(*event, "measured/se");
      return Measured{number_at(*event, "measured/loss"), std::isfinite(se) ? se : 0.0, 1};
    }
  return std::nullopt;
}

double largest_run_flops(const ClimbFiles& files) {
  double largest = 0;
  for (const auto& run : files.runs)
    if (run.kind != "target" && run.C > largest) largest = run.C;
  return largest;
}

}  // namespace rung
