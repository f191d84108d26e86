// From a TOML file and --set key=value to configurations: strict keys, nearest names, populations
// from lists.
#pragma once
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "config/config.h"
#include "core/json.h"

namespace rung {

// One assignment as given: `values` holds more than one entry when a list was given (a population).
struct Setting {
  std::string key;
  std::vector<std::string> values;
};

// Parses `key=value` or `key=[a,b,c]`. Ranges `2^-8..2^0:9` (log-spaced, 9 points) and `2^-3` are
// numbers too.
Setting parse_setting(const std::string& text);

// Reads a TOML file into settings, in file order. Unknown keys fail (usage), naming the nearest
// valid one.
std::vector<Setting> read_settings(const std::filesystem::path& path);

// Sets one field from text, or those of a `preset`. Fails (usage) on an unknown key, naming the
// nearest, or on a value of another type.
void apply_setting(RunConfig& config, const std::string& key, const std::string& value);

// The product of all lists, first setting slowest; train.members then multiplies by seeds seed,
// seed+1, ... Later settings of a key replace earlier ones; `preset` comes before all others.
std::vector<RunConfig> resolve(const RunConfig& defaults, const std::vector<Setting>& settings);

// Checks ranges and combinations that need no data. Fails (usage) with one line.
void validate(const RunConfig& config);

// All keys and values as TOML with units and help in comments, defaults written out; reads back
// identically.
std::string to_toml(const RunConfig& config);
Json to_json(const RunConfig& config);  // flat: {"model.width": 64, ...}
// The inverse of to_json; missing keys keep their defaults.
RunConfig config_from_json(const Json& json);

// A configuration as a file holds it, comparable with to_json: keys that it lacks, as the files of
// an earlier build do, have their defaults. Keys that this build does not know stay, behind all
// others.
Json with_defaults(const Json& saved);

// docs/config.md: a table of key, unit, default, help.
std::string config_markdown();

}  // namespace rung
