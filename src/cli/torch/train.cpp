// rung train: one run, or a population where settings are lists.
#include <algorithm>
#include <cmath>
#include <numbers>

#include "cli/torch/setup.h"
#include "core/error.h"
#include "core/files.h"
#include "core/table.h"
#include "study/ceiling.h"
#include "study/open_run.h"
#include "train/device.h"

namespace rung {
namespace {

// One trained group and what its progress said last.
struct Trained {
  const Group* group = nullptr;
  RunResult result;
  double bytes_per_token = 0.0;
  std::string folder;  // below --out; empty: --out itself
};

struct Work {
  std::vector<RunConfig> members;
  std::vector<Group> groups;
  Sources sources;
  std::vector<Trained> trained;
  MemoryPlan planned = {};                          // of the largest group
  double tokens = 0.0, seconds = 0.0, flops = 0.0;  // of this process, without evaluation
};

double bits_per_byte(double loss, double bytes_per_token) {
  return bytes_per_token > 0.0 ? loss / std::numbers::ln2 / bytes_per_token : NAN;
}

// False when interrupted.
bool train_one(Work& work, const Group& group, const Arguments& arguments, const fs::path& out,
               const Machine& machine) {
  const bool several = work.groups.size() > 1;
  Trained trained{.group = &group, .folder = several ? "runs/" + group.name : ""};
  const fs::path folder = several ? out / trained.folder : out;
  const RunConfig& first = group.members.front();
  const auto source = work.sources.open(first.data);
  const HeldOut held_out = source->held_out(first.model.context, first.train.eval_tokens);
  trained.bytes_per_token = held_out.bytes_per_token;
  const bool holds_run = fs::exists(folder / "result.json") || fs::exists(folder / "checkpoints");
  if (!holds_run) keep_tokenizer(*source, folder);
  Progress last;
  RunHooks hooks = make_hooks(arguments);
  hooks.progress = [&, out = arguments.out](const Progress& progress) {
    last = progress;
    out->progress(progress);
  };
  const RunRequest request{.members = group.members,
                           .folder = folder,
                           .label = several ? group.name : "train",
                           .resume = arguments.flag("--resume"),
                           .fails_diverged = !several};
  trained.result = train_run(request, source, held_out, machine, hooks);
  arguments.out->end_progress();
  if (trained.result.interrupted) return false;
  const double share = last.total > 0.0 ? (last.done - last.resumed_from) / last.total : 0.0;
  work.tokens += last.done - last.resumed_from;
  work.flops += share * trained.result.flops * static_cast<double>(group.members.size());
  work.seconds += last.seconds;
  work.trained.push_back(std::move(trained));
  return true;
}

struct TrainRow {
  MemberResult result;
  double flops = 0.0, bits_per_byte = NAN;
  std::string folder;
};

std::vector<TrainRow> rows_of(const Work& work) {
  std::vector<TrainRow> rows(work.members.size());
  for (const Trained& trained : work.trained)
    for (size_t m = 0; m < trained.group->members.size(); ++m) {
      const MemberResult& r = trained.result.finishes.back()[m];
      rows[trained.group->index[m]] = {
          r, trained.result.flops, bits_per_byte(r.loss, trained.bytes_per_token), trained.folder};
    }
  return rows;
}

Json members_json(const std::vector<TrainRow>& rows) {
  Json members = Json::array();
  for (const TrainRow& row : rows) {
    Json member = to_json(row.result);
    member["width"] = row.result.config.model.width;
    member["depth"] = row.result.config.model.depth;
    member["flops"] = row.flops;
    member["bits_per_byte"] = json_number(row.bits_per_byte);
    if (!row.folder.empty()) member["folder"] = row.folder;
    members.push_back(std::move(member));
  }
  return members;
}

std::string members_text(const std::vector<TrainRow>& rows, size_t best) {
  std::vector<TableRow> table;
  for (size_t i = 0; i < rows.size(); ++i) {
    const MemberResult& r = rows[i].result;
    const bool ok = std::isfinite(r.loss);
    table.push_back({fmt::format("{}", i),
                     fmt::format("{}x{}", r.config.model.width, r.config.model.depth),
                     fmt::format("{:.5g}", r.config.train.lr), fmt::format("{}", r.config.seed),
                     ok ? fmt::format("{:.4f}", r.loss) : "diverged",
                     ok ? fmt::format("{:.4f}", r.standard_error) : "", i == best ? "best" : ""});
  }
  return text_table({"member", "shape", "lr", "seed", "loss", "se", ""}, table);
}

int report_train(const Work& work, const Arguments& arguments, const fs::path& out,
                 double seconds) {
  const std::vector<TrainRow> rows = rows_of(work);
  size_t best = rows.size();
  for (size_t i = 0; i < rows.size(); ++i)
    if (std::isfinite(rows[i].result.loss) &&
        (best == rows.size() || rows[i].result.loss < rows[best].result.loss))
      best = i;
  if (best == rows.size())
    fail("[train] Every member diverged. Lower train.lr, or set train.clip.");
  const TrainRow& row = rows[best];
  const RunConfig& first = work.members.front();
  // Before the ceiling of matrix products, which takes memory of its own.
  const int64_t used = peak_gpu_use(), held = peak_gpu_memory();
  const double rate = work.seconds > 0.0 ? work.tokens / work.seconds : NAN;
  const double mfu = work.seconds > 0.0
                         ? work.flops / work.seconds /
                               matmul_ceiling(first.device, first.precision, arguments.threads)
                         : NAN;
  Json json = {{"loss", json_number(row.result.loss)},
               {"L_se", json_number(row.result.standard_error)},
               {"bits_per_byte", json_number(row.bits_per_byte)},
               {"best", best},
               {"tokens", row.result.tokens},
               {"flops", row.flops},
               {"seconds", seconds},
               {"tokens_per_second", json_number(rate)},
               {"mfu", json_number(mfu)},
               {"members", members_json(rows)},
               {"memory", memory_json(work.planned)},
               {"out", out.string()}};
  if (first.device == "cuda") {
    json["memory"]["measured_total"] = used;
    json["memory"]["measured_held"] = held;
  }
  std::string text = rows.size() > 1 ? members_text(rows, best) : "";
  text +=
      fmt::format("loss {:.4f} +- {:.4f} nats a token", row.result.loss, row.result.standard_error);
  if (std::isfinite(row.bits_per_byte))
    text += fmt::format(", {:.4f} bits a byte", row.bits_per_byte);
  text += fmt::format(" after {} tokens, {:.3g} FLOPs", short_number(double(row.result.tokens)),
                      row.flops);
  text += fmt::format("; {}", short_seconds(seconds));
  if (std::isfinite(rate)) text += fmt::format(", {} tok/s, mfu {:.2f}", short_number(rate), mfu);
  arguments.out->result(json, text + fmt::format("\nin {}\n", out.string()));
  return 0;
}

// What was begun as one population goes on as one, and several as those that they were.
void resume_groups(Work& work, const fs::path& out) {
  const bool one = fs::exists(out / "result.json") || fs::exists(out / "checkpoints");
  work.groups = one ? group_members(work.members) : kept_groups(out, std::move(work.groups));
}

int run_train(const Arguments& arguments) {
  Work work{.members = read_members(arguments)};
  keep_known_data(arguments, work.sources, work.members);
  const auto vocabulary = [&](const DataConfig& data) {
    return work.sources.open(data)->vocabulary();
  };
  work.groups = fitted_groups(work.members, vocabulary, arguments.threads);
  if (!arguments.dry_run && arguments.flag("--resume")) resume_groups(work, out_folder(arguments));
  std::vector<DryRow> dry;
  for (const Group& group : work.groups) {
    const auto source = work.sources.open(group.members.front().data);
    check_group(group, *source);
    dry.push_back({group.name, estimate(group, source->vocabulary(), arguments.threads)});
    if (const MemoryPlan& plan = dry.back().estimate.memory; plan.total() > work.planned.total())
      work.planned = plan;
  }
  if (arguments.dry_run) {
    report_dry_run(arguments, dry, work.members.front());
    return 0;
  }
  const fs::path out = out_folder(arguments);
  note_resume(arguments);
  if (work.groups.size() > 1) {
    if (!arguments.flag("--resume") && fs::exists(out / "runs.json"))
      fail("[train] {} holds runs already. Use --resume to continue them, or another --out.",
           out.string());
    arguments.out->note(
        fmt::format("{} members in {} populations:", work.members.size(), work.groups.size()));
    for (const DryRow& row : dry)
      arguments.out->note(fmt::format("  {}: {} members, N {}", row.name, row.estimate.members,
                                      short_number(static_cast<double>(row.estimate.N))));
    keep_places(out, work.groups);
  }
  const Machine machine = make_machine(work.members.front().device, arguments.threads);
  double seconds = 0.0;
  for (const Group& group : work.groups) {
    if (!train_one(work, group, arguments, out, machine)) return report_interrupted(arguments, out);
    seconds += work.trained.back().result.seconds;
  }
  return report_train(work, arguments, out, seconds);
}

}  // namespace

extern const Verb train_verb;
const Verb train_verb{
    .name = "train",
    .group = "runs",
    .summary = "train one model, or a population where settings are lists",
    .example = "rung train --set model.width=64 train.lr=[0.25,0.5,1] --out runs/first",
    .options = with_config_options(
        {{.name = "--out", .help = "folder of the run"},
         {.name = "--resume", .takes = Takes::flag, .help = "continue what the folder holds"}}),
    .run = run_train,
    .trains = true};

}  // namespace rung
