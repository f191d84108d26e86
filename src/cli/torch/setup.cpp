#include "cli/torch/setup.h"

#include <cmath>

#include "cli/cache.h"
#include "cli/interrupt.h"
#include "config/difference.h"
#include "config/resolve.h"
#include "core/error.h"
#include "core/files.h"
#include "core/shell.h"
#include "core/table.h"
#include "study/ceiling.h"
#include "study/known_data.h"
#include "train/device.h"

namespace rung {

std::vector<Option> config_options() {
  return {{.name = "CONFIG", .help = "configuration in TOML (docs/config.md)"},
          {.name = "--set",
           .takes = Takes::list,
           .help = "key=value; a list makes a population, as train.lr=[0.25,0.5]"},
          {.name = "--data",
           .help = "text file, folder or .jsonl, compressed or not; default or synthetic"}};
}

std::vector<Option> with_config_options(std::vector<Option> own) {
  std::vector<Option> options = config_options();
  options.insert(options.end(), own.begin(), own.end());
  return options;
}

std::string absolute_data_path(const std::string& path) {
  if (path.empty() || path == "default" || path == "synthetic" || path.starts_with("synthetic:"))
    return path;
  return fs::absolute(path).lexically_normal().string();
}

void make_paths_absolute(DataConfig& data) {
  data.path = absolute_data_path(data.path);
  if (fs::is_regular_file(data.tokenizer)) data.tokenizer = absolute_data_path(data.tokenizer);
}

std::vector<std::string> split_commas(const std::vector<std::string>& texts) {
  std::vector<std::string> parts;
  for (const std::string& text : texts)
    for (size_t begin = 0; begin <= text.size();) {
      const size_t end = std::min(text.find(',', begin), text.size());
      if (end > begin) parts.push_back(text.substr(begin, end - begin));
      begin = end + 1;
    }
  return parts;
}

std::vector<Setting> given_settings(const Arguments& arguments, const std::vector<Setting>& extra) {
  // Before the file is read: of `--set train.lr 0.5` the 0.5 is taken for it.
  std::vector<Setting> set;
  for (const std::string& text : arguments.list("--set")) set.push_back(parse_setting(text));
  std::vector<Setting> settings;
  if (arguments.has("CONFIG")) settings = read_settings(arguments.text("CONFIG"));
  settings.insert(settings.end(), set.begin(), set.end());
  settings.insert(settings.end(), extra.begin(), extra.end());
  return settings;
}

std::vector<RunConfig> read_members(const Arguments& arguments, const std::vector<Setting>& extra) {
  std::vector<Setting> settings = given_settings(arguments, extra);
  if (arguments.has("--data")) settings.push_back({"data.path", {arguments.text("--data")}});
  if (!arguments.device.empty()) settings.push_back({"device", {arguments.device}});
  std::vector<RunConfig> members = resolve({}, settings);
  for (RunConfig& config : members) {
    make_paths_absolute(config.data);
    if (config.device != members.front().device)
      fail_usage("[config] All runs of one call share a device. Received cpu and cuda.");
  }
  return members;
}

std::vector<Setting> given_rule(const Arguments& arguments) {
  if (!arguments.has("--parametrisation")) return {};
  return {{"parametrisation", {arguments.text("--parametrisation")}}};
}

RunConfig read_one(const Arguments& arguments, std::string_view verb,
                   const std::vector<Setting>& extra) {
  const std::vector<RunConfig> members = read_members(arguments, extra);
  if (members.size() > 1) {
    Json list = Json::array();
    for (const RunConfig& config : members) list.push_back(to_json(config));
    fail_usage("[{}] One configuration at a time. Received {}: {}.", verb, members.size(),
               variety_text(list));
  }
  return members.front();
}

std::string Sources::key(const DataConfig& config) {
  return fmt::format("{}\n{}\n{}\n{}", config.path, config.tokenizer, config.vocabulary,
                     config.held_out);
}

std::shared_ptr<const TokenSource> Sources::open(const DataConfig& config) {
  std::shared_ptr<const TokenSource>& source = open_[key(config)];
  if (!source) source = open_source(config, data_cache_folder());
  return source;
}

void Sources::add(const DataConfig& config, std::shared_ptr<const TokenSource> source) {
  open_.emplace(key(config), std::move(source));
}

void keep_known_data(const Arguments& arguments, Sources& sources, std::span<RunConfig> members) {
  if (!arguments.flag("--resume") || !arguments.has("--out")) return;
  std::map<std::string, std::string> known;  // members mostly share a text, which all logs name
  for (RunConfig& config : members) {
    const auto source = sources.open(config.data);
    const auto [path, fresh] = known.try_emplace(config.data.path);
    if (fresh) path->second = known_data_path(out_folder(arguments), config.data.path, *source);
    config.data.path = path->second;
    sources.add(config.data, source);
  }
}

RunHooks make_hooks(const Arguments& arguments) {
  return {.interrupted = arguments.interrupted,
          .progress = [out = arguments.out](const Progress& p) { out->progress(p); }};
}

fs::path out_folder(const Arguments& arguments) {
  const std::string out = arguments.text("--out");
  if (out.empty()) fail_usage("[cli] --out is missing: the folder that receives the run.");
  return out;
}

void note_resume(const Arguments& arguments) {
  const fs::path out = arguments.text("--out");
  if (arguments.flag("--resume") && !fs::exists(out))
    arguments.out->note(
        fmt::format("{} is not there: nothing is resumed, it starts anew", out.string()));
}

StudyContext make_context(const Arguments& arguments, Sources& sources, const RunConfig& first) {
  note_resume(arguments);
  return {.folder = out_folder(arguments),
          .resume = arguments.flag("--resume"),
          .open = [&sources](const DataConfig& config) { return sources.open(config); },
          .machine = make_machine(first.device, arguments.threads),
          .hooks = make_hooks(arguments),
          .note = [out = arguments.out](const std::string& line) { out->note(line); }};
}

namespace {

int status_of_interrupt() {
  const int status = interrupt_status();
  return status ? status : 1;
}

}  // namespace

int report_interrupted(const Arguments& arguments) {
  arguments.out->result({{"status", "interrupted"}}, "interrupted; nothing was written");
  return status_of_interrupt();
}

std::string resume_command(const Arguments& arguments) {
  const std::vector<std::string>& line = arguments.command_line;  // the program's path first
  return "rung " + shell_line(std::span(line).subspan(1)) +
         (arguments.flag("--resume") ? "" : " --resume");
}

int report_interrupted(const Arguments& arguments, const fs::path& out) {
  const std::string command = resume_command(arguments);
  arguments.out->result(
      {{"status", "interrupted"}, {"out", out.string()}, {"resume", command}},
      fmt::format("interrupted; saved in {}. This goes on:\n  {}", out.string(), command));
  return status_of_interrupt();
}

Json memory_json(const MemoryPlan& m) {
  return {{"weights", m.weights}, {"gradients", m.gradients},   {"optimizer", m.optimizer},
          {"pass", m.pass},       {"evaluation", m.evaluation}, {"other", m.other},
          {"total", m.total()},   {"held", m.held()},           {"sequences", m.sequences},
          {"counted", m.counted}};
}

std::vector<DryRow> dry_rows(const Arguments& arguments, std::span<const RunConfig> members,
                             const TokenSource& source) {
  std::vector<DryRow> rows;
  for (const Group& group : group_members(members))
    rows.push_back({group.name, estimate(group, source.vocabulary(), arguments.threads)});
  return rows;
}

void report_dry_run(const Arguments& arguments, const std::vector<DryRow>& rows,
                    const RunConfig& first, const DryNotes& notes) {
  constexpr double utilisation = 0.3;  // of the matrix ceiling: what small models reach
  // A run on a GPU may be planned on a host without one, where its time is not known.
  const bool known = first.device != "cuda" || !gpu_name().empty();
  const double speed =
      known ? utilisation * matmul_ceiling(first.device, first.precision, arguments.threads) : NAN;
  const auto about = [&](double work) { return known ? short_seconds(work / speed) : "?"; };
  Json list = Json::array();
  std::vector<TableRow> table;
  double flops = 0.0, bytes = 0.0;
  for (const auto& [name, e] : rows) {
    flops += e.flops;
    bytes = std::max(bytes, e.memory.total());
    list.push_back({{"name", name},
                    {"members", e.members},
                    {"N", e.N},
                    {"N_total", e.N_total},
                    {"tokens", e.tokens},
                    {"steps", e.steps},
                    {"flops", e.flops},
                    {"bytes", e.memory.total()},
                    {"memory", memory_json(e.memory)},
                    {"seconds", json_number(e.flops / speed)}});
    table.push_back({name, fmt::format("{}", e.members), short_number(static_cast<double>(e.N)),
                     short_number(static_cast<double>(e.N_total)),
                     short_number(static_cast<double>(e.tokens)), fmt::format("{}", e.steps),
                     fmt::format("{:.3g}", e.flops),
                     (e.memory.counted ? "" : "> ") + short_amount(e.memory.total(), "B"),
                     fmt::format("{}", e.memory.sequences), about(e.flops)});
  }
  const std::string text =
      text_table({"group", "members", "N", "stored", "tokens", "steps", "FLOPs", "memory",
                  "sequences at once", "about"},
                 table) +
      (known ? fmt::format("in all {:.3g} FLOPs, about {} here\n", flops, about(flops))
             : fmt::format(
                   "in all {:.3g} FLOPs; this host or build has no GPU, so their time is not known "
                   "and nothing would train here\n",
                   flops));
  Json json = {{"dry_run", true}, {"trains_here", known}, {"groups", list},
               {"flops", flops},  {"bytes", bytes},       {"seconds", json_number(flops / speed)}};
  json.update(notes.json);
  arguments.out->result(json, text + notes.text);
}

}  // namespace rung
