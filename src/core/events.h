// Where a run writes what happens to it: log.jsonl (append-only) and TensorBoard event files.
#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "core/json.h"

namespace rung {

// One object a line, flushed per line. A torn last line (from a crash) is dropped when the log is
// opened.
class JsonLog {
 public:
  explicit JsonLog(std::filesystem::path path);
  void write(const Json& event, bool sync = false);

 private:
  std::filesystem::path path_;
};

// All whole lines of a log; a torn last line is ignored.
std::vector<Json> read_json_lines(const std::filesystem::path& path);

// Writes scalars that TensorBoard opens; a new file events.out.tfevents.* is begun per object.
class TensorBoard {
 public:
  explicit TensorBoard(const std::filesystem::path& folder);
  ~TensorBoard();
  void scalar(const std::string& tag, int64_t step, double value);
  void flush();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace rung
