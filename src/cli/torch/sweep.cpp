// rung sweep: a product of settings, trained as populations, with the best of them.
#include "study/sweep.h"

#include <algorithm>
#include <cmath>

#include "cli/torch/setup.h"
#include "core/error.h"
#include "core/files.h"
#include "core/table.h"
#include "study/search.h"
#include "study/seed_means.h"
#include "study/transfer.h"

namespace rung {
namespace {

std::vector<Setting> read_over(const Arguments& arguments) {
  std::vector<Setting> over;
  for (const std::string& text : arguments.list("--over")) {
    over.push_back(parse_setting(text));
    for (size_t i = 0; i + 1 < over.size(); ++i)
      if (over[i].key == over.back().key)
        fail_usage("[sweep] A key is swept twice. Received {}.", over.back().key);
    if (over.back().key == "data.path" && arguments.has("--data"))
      fail_usage("[sweep] data.path is swept and fixed by --data. Give one of them.");
  }
  return over;
}

size_t best_of(const std::vector<RunRecord>& records) {
  size_t best = 0;
  for (size_t i = 0; i < records.size(); ++i)
    if (std::isfinite(records[i].L) &&
        (!std::isfinite(records[best].L) || records[i].L < records[best].L))
      best = i;
  return best;
}

std::string table_text(const std::vector<RunConfig>& members, const StudyResult& study,
                       const std::vector<std::string>& keys, size_t best) {
  TableRow head(keys.begin(), keys.end());
  for (const char* name : {"N", "D", "loss", "se", ""}) head.emplace_back(name);
  std::vector<TableRow> rows;
  for (size_t i = 0; i < study.records.size(); ++i) {
    const RunRecord& r = study.records[i];
    TableRow row;
    for (const std::string& key : keys) row.push_back(field_text(members[i], key));
    row.push_back(short_number(static_cast<double>(r.N)));
    row.push_back(short_number(static_cast<double>(r.D)));
    row.push_back(std::isfinite(r.L) ? fmt::format("{:.4f}", r.L) : r.status);
    row.push_back(std::isfinite(r.L_se) ? fmt::format("{:.4f}", r.L_se) : "");
    row.emplace_back(i == best ? "best" : "");
    rows.push_back(std::move(row));
  }
  return text_table(head, rows);
}

Json record_json(const RunRecord& record) {
  Json json = Json::object();
  visit_record(record, [&](const char* column, const auto& field) {
    if constexpr (std::is_same_v<std::decay_t<decltype(field)>, double>)
      json[column] = json_number(field);
    else
      json[column] = field;
  });
  return json;
}

// Whether parts or rules are compared, named as they are, by one seed each.
bool compares_names(const RunConfig& config, const std::vector<std::string>& keys) {
  const Json settings = to_json(config);
  return std::find(keys.begin(), keys.end(), "seed") == keys.end() &&
         std::any_of(keys.begin(), keys.end(),
                     [&](const std::string& key) { return settings.at(key).is_string(); });
}

int report_sweep(const std::vector<RunConfig>& members, const StudyResult& study,
                 const std::vector<std::string>& keys, const Arguments& arguments,
                 const SearchOutcome* search) {
  const fs::path out = out_folder(arguments);
  const size_t best = best_of(study.records);
  Json runs = Json::array(), optima = Json::array(), moves = Json::array();
  for (const RunRecord& record : study.records) runs.push_back(record_json(record));
  std::string text = table_text(members, study, keys, best);
  // A search's stages train to several lengths, of which means and bowls would make one.
  const std::vector<SeedMean> means =
      search ? std::vector<SeedMean>() : seed_means(members, study.records, keys);
  if (!means.empty()) text += "\n" + seed_means_text(means, members, keys);
  if (!search && compares_names(members.front(), keys))
    text += "one seed a setting: train.members=3 tells differences from seeds' noise\n";
  if (!search && std::find(keys.begin(), keys.end(), "train.lr") != keys.end())
    for (const SweepOptimum& o : sweep_optima(members, study.records, keys)) {
      Json entry = to_json(o.bowl);
      entry["where"] = o.where;
      entry["se_log2"] = o.se;
      entry["seeds"] = o.seeds;
      optima.push_back(std::move(entry));
      text += fmt::format(
          "{}{}optimum train.lr {:.4g} (2^{:.2f} +- {:.2f} {}), loss {:.4f}{}\n", o.where,
          o.where.empty() ? "" : ": ", std::exp2(o.bowl.log2_lr), o.bowl.log2_lr, o.se,
          o.seeds > 1 ? fmt::format("by {} seeds", o.seeds) : "if seeds differ by 0.2 %",
          o.bowl.loss, o.bowl.at_edge ? "; the best lies at the edge: widen the range" : "");
    }
  const std::vector<Transfer> found =
      search ? std::vector<Transfer>() : transfers(members, study.records, keys);
  for (const Transfer& transfer : found) {
    moves.push_back(to_json(transfer));
    text += transfer_text(transfer);
  }
  Json result{{"best", record_json(study.records[best])},
              {"best_member", best},
              {"means", to_json(means, members, keys)},
              {"optima", optima},
              {"transfers", moves},
              {"runs", runs},
              {"seconds", study.seconds},
              {"out", out.string()}};
  const RunConfig& winner = search ? search->winner : members[best];
  Json settings = Json::object();
  std::string words;
  for (const std::string& key : keys) {
    if (key == "seed") continue;
    settings[key] = to_json(winner).at(key);
    words += " " + key + "=" + field_text(winner, key);
  }
  result["winner"] = settings;
  if (search) {
    result["winner_loss"] = json_number(search->loss);
    result["points"] = search->points;
    text += fmt::format("winner of {} points:{}, mean loss {:.4f}\n", search->points, words,
                        search->loss);
  }
  text += fmt::format("{} in {}\n", short_seconds(study.seconds),
                      (search ? out : out / "runs.csv").string());
  arguments.out->result(result, text);
  return 0;
}

// Prices the groups of `members`, and says them unless this is a dry run.
std::vector<DryRow> announce(std::span<const RunConfig> members, Sources& sources,
                             const Arguments& arguments) {
  std::vector<DryRow> rows;
  const auto vocabulary = [&](const DataConfig& data) { return sources.open(data)->vocabulary(); };
  for (const Group& group : fitted_groups(members, vocabulary, arguments.threads)) {
    const auto source = sources.open(group.members.front().data);
    check_group(group, *source);
    rows.push_back({group.name, estimate(group, source->vocabulary(), arguments.threads)});
  }
  if (arguments.dry_run) return rows;
  for (const DryRow& row : rows)
    arguments.out->note(fmt::format("{}: {} members, N {}, {} tokens each", row.name,
                                    row.estimate.members,
                                    short_number(static_cast<double>(row.estimate.N)),
                                    short_number(static_cast<double>(row.estimate.tokens))));
  return rows;
}

// What is swept, and the seed where members differ in it.
std::vector<std::string> swept_keys(const std::vector<Setting>& over,
                                    const std::vector<RunConfig>& members) {
  std::vector<std::string> keys;
  for (const Setting& setting : over) keys.push_back(setting.key);
  const auto differs = [&](const RunConfig& c) { return c.seed != members.front().seed; };
  if (std::any_of(members.begin(), members.end(), differs) &&
      std::find(keys.begin(), keys.end(), "seed") == keys.end())
    keys.emplace_back("seed");
  return keys;
}

// The members that differ in seed alone, from which a search starts.
std::vector<RunConfig> seeds_for(const Arguments& arguments, const std::vector<Setting>& over) {
  const std::vector<RunConfig> seeds = read_members(arguments, {});
  for (RunConfig config : seeds) {
    config.seed = seeds.front().seed;
    if (to_json(config) != to_json(seeds.front()))
      fail_usage("[sweep] A search varies what --over names. Give no lists in --set or CONFIG.");
  }
  for (const Setting& setting : over)
    if (setting.key == "seed")
      fail_usage("[sweep] A search takes its seeds from train.members, not from --over seed.");
  return seeds;
}

StudyContext sweep_context(const Arguments& arguments, Sources& sources, const RunConfig& first) {
  StudyContext context = make_context(arguments, sources, first);
  context.keep_checkpoints = arguments.flag("--keep-checkpoints");
  return context;
}

bool in_stages(const std::string& search) {
  return search == "independent" || search == "halving" || search == "bayesian";
}

int search_in_stages(const Arguments& arguments, const std::vector<Setting>& over) {
  const std::string search = arguments.text("--search");
  if (arguments.dry_run)
    fail_usage(
        "[sweep] --dry-run prices a product or random points; what --search {} trains depends on "
        "what it finds.",
        search);
  std::vector<RunConfig> seeds = seeds_for(arguments, over);
  const int64_t points = arguments.integer("--points");
  const uint64_t seed = seeds.front().seed;
  Sources sources;
  keep_known_data(arguments, sources, seeds);
  const StudyContext context = sweep_context(arguments, sources, seeds.front());
  const TrainStage train = [&](const std::string& stage, std::span<const RunConfig> members) {
    arguments.out->note(stage);
    announce(members, sources, arguments);
    StudyContext own = context;
    own.folder /= stage;
    return run_sweep(members, own);
  };
  const SearchOutcome found = search == "independent" ? independent_search(seeds, over, train)
                              : search == "halving"
                                  ? halving_search(seeds, over, points, seed, train)
                                  : bayesian_search(seeds, over, points, seed, train);
  arguments.out->end_progress();
  if (found.interrupted) return report_interrupted(arguments, context.folder);
  return report_sweep(found.members, {found.records, found.seconds},
                      swept_keys(over, found.members), arguments, &found);
}

int run_sweep(const Arguments& arguments) {
  const std::vector<Setting> over = read_over(arguments);
  const std::string search = arguments.text("--search");
  if (in_stages(search)) return search_in_stages(arguments, over);
  std::vector<RunConfig> members;
  if (search == "random") {
    const std::vector<RunConfig> seeds = seeds_for(arguments, over);
    members = random_points(seeds, over, arguments.integer("--points"), seeds.front().seed);
  } else {
    members = read_members(arguments, over);
  }
  Sources sources;
  keep_known_data(arguments, sources, members);
  const std::vector<DryRow> dry = announce(members, sources, arguments);
  if (arguments.dry_run) {
    report_dry_run(arguments, dry, members.front());
    return 0;
  }
  const StudyContext context = sweep_context(arguments, sources, members.front());
  const StudyResult study = run_sweep(members, context);
  arguments.out->end_progress();
  if (study.interrupted) return report_interrupted(arguments, context.folder);
  return report_sweep(members, study, swept_keys(over, members), arguments, nullptr);
}

}  // namespace

extern const Verb sweep_verb;
const Verb sweep_verb{
    .name = "sweep",
    .group = "runs",
    .summary = "train a product of settings as populations and name the best",
    .example = "rung sweep --over train.lr=2^-4..2^2:7 --over model.width=[32,64] --out sweeps/lr",
    .options = with_config_options(
        {{.name = "--over",
          .takes = Takes::list,
          .help = "key=range, as train.lr=2^-8..2^0:9 or model.width=[32,64]",
          .required = true},
         {.name = "--search",
          .help =
              "product; random: --points of them; independent: learning rates, then a line of "
              "each other key, then the best together; halving: --points short runs, the better "
              "half twice as long, and so on",
          .default_text = "product",
          .choices = {"product", "random", "independent", "halving", "bayesian"}},
         {.name = "--points",
          .help = "of a random, halving or Bayesian search",
          .default_text = "32"},
         {.name = "--out", .help = "folder of the sweep"},
         {.name = "--resume", .takes = Takes::flag, .help = "continue what the folder holds"},
         {.name = "--keep-checkpoints",
          .takes = Takes::flag,
          .help = "keep every member's weights and moments, not its results alone"}}),
    .run = run_sweep,
    .trains = true};

}  // namespace rung
