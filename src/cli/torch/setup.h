// What the verbs that train share: configurations from the command line, data, progress, dry runs.
#pragma once
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "cli/verb.h"
#include "config/resolve.h"
#include "study/groups.h"
#include "study/sweep.h"

namespace rung {

// CONFIG, --set, --data.
std::vector<Option> config_options();
// config_options, then these.
std::vector<Option> with_config_options(std::vector<Option> own);

// The settings of CONFIG, of --set and `extra`; later ones win.
std::vector<Setting> given_settings(const Arguments& arguments, const std::vector<Setting>& extra);
// What given_settings resolve to; --data and --device win. Relative data paths become absolute,
// so that a run can be resumed and evaluated from anywhere.
std::vector<RunConfig> read_members(const Arguments& arguments,
                                    const std::vector<Setting>& extra = {});
// The one member of a verb that takes no lists. Fails (usage, named `verb`) on several.
RunConfig read_one(const Arguments& arguments, std::string_view verb,
                   const std::vector<Setting>& extra = {});
// What --parametrisation, of verbs that have it, sets.
std::vector<Setting> given_rule(const Arguments& arguments);
// The parts of texts such as 64,128.
std::vector<std::string> split_commas(const std::vector<std::string>& texts);
std::string absolute_data_path(const std::string& path);
// Of the text and of a tokenizer that is a file.
void make_paths_absolute(DataConfig& data);

// Opens each data set once.
class Sources {
 public:
  std::shared_ptr<const TokenSource> open(const DataConfig& config);
  // What `config` opens from now on.
  void add(const DataConfig& config, std::shared_ptr<const TokenSource> source);

 private:
  static std::string key(const DataConfig& config);
  std::map<std::string, std::shared_ptr<const TokenSource>> open_;
};

// With --resume: members whose text the folder knows by another path take that path.
void keep_known_data(const Arguments& arguments, Sources& sources, std::span<RunConfig> members);

RunHooks make_hooks(const Arguments& arguments);
// The value of --out. Fails (usage) when it is missing.
std::filesystem::path out_folder(const Arguments& arguments);
// Says so where --resume finds nothing to go on with, as after a slip in --out.
void note_resume(const Arguments& arguments);
StudyContext make_context(const Arguments& arguments, Sources& sources, const RunConfig& first);

// The command line that goes on with what this one has saved.
std::string resume_command(const Arguments& arguments);
// What was saved and how to go on; returns the exit status of the signal.
int report_interrupted(const Arguments& arguments, const std::filesystem::path& out);
// The same for a verb that saves nothing on the way.
int report_interrupted(const Arguments& arguments);

// --dry-run: a line a group with parameters, FLOPs, memory and rough time at this machine's speed.
struct DryRow {
  std::string name;
  Requirements estimate;
};
// Of members that train on one source, a row a group.
std::vector<DryRow> dry_rows(const Arguments& arguments, std::span<const RunConfig> members,
                             const TokenSource& source);
// A plan's parts, in bytes.
Json memory_json(const MemoryPlan& plan);
// What a verb adds: keys of the JSON, lines behind the table.
struct DryNotes {
  Json json = Json::object();
  std::string text = {};
};
void report_dry_run(const Arguments& arguments, const std::vector<DryRow>& rows,
                    const RunConfig& first, const DryNotes& notes = {});

}  // namespace rung
