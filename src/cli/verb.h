// The frame of the command line: a verb is a name, its options, and a function that gets them
// parsed. A new verb is one file with `extern const Verb NAME_verb`, and one line in verbs_law.cpp
// or torch/verbs_torch.cpp.
#pragma once
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cli/output.h"

namespace rung {

// What an option takes. `flag`: nothing. `value`: one text. `list`: one or more texts; may be
// repeated.
enum class Takes { flag, value, list };

// An option of a verb: `--name`, or a positional argument when the name has no dashes
// ("TABLE.csv").
struct Option {
  std::string name;  // "--law", or "CONFIG" for a positional
  Takes takes = Takes::value;
  std::string help = {};
  std::string default_text = {};  // value when absent; shown in help
  bool required = false;
  std::vector<std::string> choices = {};  // empty: anything
};

// The parsed command line of one call: options by name, the common ones, output and interruption.
class Arguments {
 public:
  bool has(std::string_view name) const;  // given on the command line
  bool flag(std::string_view name) const { return has(name); }
  std::string text(std::string_view name) const;  // given value, else the default text
  double number(std::string_view name) const;  // `2^-3`, `1e18` too; fails (usage) on anything else
  int64_t integer(std::string_view name) const;  // `1e6` too
  uint64_t seed() const;                         // of --seed
  std::vector<std::string> list(std::string_view name) const;

  // Common to all verbs.
  bool json = false, quiet = false, dry_run = false;
  int threads = 0;                        // 0: one per core
  std::string device;                     // cpu or cuda; empty: as configured
  std::vector<std::string> command_line;  // argv, for records and reports
  Output* out = nullptr;                  // never null inside run()
  std::function<bool()> interrupted;      // polled by long work; true after Ctrl-C or SIGTERM

  struct Value {
    std::string name;
    std::vector<std::string> values;
    bool given = false;
  };
  std::vector<Value> values;  // filled by the frame; in the order of the verb's options
};

struct Verb {
  std::string name = {}, group = {}, summary = {}, example = {};  // group: heading in `rung help`
  std::vector<Option> options = {};
  int (*run)(const Arguments&) = nullptr;  // returns the exit status; throws Error
  bool trains = false;                     // adds --dry-run
};

// Verbs without torch, in both programs.
std::span<const Verb* const> law_verbs();

using Versions = std::vector<std::pair<std::string, std::string>>;  // name, version

// Parses, runs, prints errors and returns the exit status. `start` runs after parsing, before the
// verb (thread counts of libraries). `version` prints the program's and those of `libraries`.
int run_program(int argc, char** argv, std::string_view program, std::span<const Verb* const> verbs,
                const std::function<void(const Arguments&)>& start = {},
                const Versions& libraries = {});

}  // namespace rung
