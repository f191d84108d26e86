// A climb folder read into plain structs, tolerant of what is not there yet.
#pragma once
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/json.h"
#include "core/table.h"

namespace rung {

// One line of runs.csv. Numbers that are absent or unreadable are NaN.
struct ReportRun {
  std::string run, member, kind, status;
  bool used = true;
  double width = 0, depth = 0, N = 0, D = 0, C = 0, lr = 0, batch_tokens = 0;
  double loss = 0, loss_se = 0, seed_sd = 0, bits_per_byte = 0, seconds = 0;
};

// The training loss of one run (or, in a sweep, of one member) over tokens, thinned for drawing.
struct ReportCurve {
  std::string name, kind;
  double N = 0;
  std::vector<std::pair<double, double>> points;  // (tokens, nats per token)
};

struct ClimbFiles {
  std::filesystem::path folder;
  std::string config;                 // config.toml as text
  Json plan, fit, prediction, audit;  // null where the file is absent
  std::vector<Json> log;
  std::vector<ReportRun> runs;
  std::vector<ReportCurve> curves;
  std::vector<std::string> notes;  // files that could not be read, and why
  std::string prediction_sha256;   // of the file as it is now

  // Of the log: the stage entered last; end's status, empty while running.
  std::string stage, status;
  bool running() const { return !log.empty() && status.empty(); }
};

// What of the files is there; one that cannot be read is a line of `notes`.
ClimbFiles read_climb_files(const std::filesystem::path& folder);

// Target's measured loss and standard error: mean over its members in runs.csv, or what `verify`
// recorded last.
struct Measured {
  double loss = 0, se = 0;
  int members = 0;
};
std::optional<Measured> measured_target(const ClimbFiles& files);

// The largest C among runs that are not the target; 0 without runs.
double largest_run_flops(const ClimbFiles& files);

// The number at a key, NaN where it is absent or not a number. Nested keys by '/': "target/N".
double number_at(const Json& json, const std::string& path);
std::string text_at(const Json& json, const std::string& path, const std::string& otherwise = "");
bool truth_at(const Json& json, const std::string& path,
              bool otherwise);  // true, or a number that is not 0

}  // namespace rung
