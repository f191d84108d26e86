#include "train/run.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>

#include "config/resolve.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/events.h"
#include "core/files.h"
#include "core/folder.h"
#include "train/checkpoint.h"

namespace rung {
namespace {

// Everything that one call of train_run carries along.
struct Driver {
  const RunRequest& request;
  const HeldOut& held_out;
  const RunHooks& hooks;
  const Json data;
  Population population;
  std::vector<Schedule> finishes;
  std::unique_ptr<FolderLock> lock;
  std::unique_ptr<JsonLog> log;
  std::unique_ptr<TensorBoard> board;
  Clock::time_point start = Clock::now();
  double earlier_seconds = 0.0;  // of processes that were interrupted
  int64_t total_steps = 0, done_steps = 0, resumed_steps = 0;
  bool all_diverged = false;
  bool behind = false;  // an earlier process may have left checkpoints that the next one replaces
  RunResult result;

  fs::path checkpoints() const { return request.folder / "checkpoints"; }
  bool on_disk() const { return !request.folder.empty(); }
  double seconds() const { return earlier_seconds + seconds_since(start); }
  int64_t step_tokens() const { return population.states.front().config.train.batch_tokens; }
};

std::vector<Schedule> finishes_of(const RunRequest& request, const Population& population) {
  if (request.finishes.empty()) return {population.schedule};
  for (size_t i = 1; i < request.finishes.size(); ++i)
    if (request.finishes[i].trunk() < request.finishes[i - 1].trunk() ||
        request.finishes[i].warmup != request.finishes[0].warmup)
      fail_usage("[train] Branches of one trunk must be ascending and share the warm-up.");
  return request.finishes;
}

// Steps over all phases: the trunk once, each cooldown once.
int64_t count_steps(const std::vector<Schedule>& finishes) {
  int64_t total = finishes.back().trunk();
  for (const Schedule& s : finishes) total += s.cooldown;
  return total;
}

Json losses_json(const Population& p) {
  Json losses = Json::array();
  for (const MemberState& s : p.states)
    losses.push_back(s.status == MemberStatus::running ? json_number(s.loss) : Json(nullptr));
  return losses;
}

void log_step(Driver& d) {
  d.population.sync();
  const Population& p = d.population;
  if (!d.on_disk()) return;
  Json norms = Json::array(), rates = Json::array();
  const double factor = schedule_factor(p.schedule, p.step - 1);
  for (const MemberState& s : p.states) {
    norms.push_back(json_number(s.gradient_norm));
    rates.push_back(json_number(s.config.train.lr * factor));
  }
  d.log->write({{"event", "step"},
                {"step", p.step},
                {"tokens", p.step * d.step_tokens()},
                {"loss", losses_json(p)},
                {"gradient_norm", norms},
                {"lr", rates}});
  for (size_t m = 0; m < p.states.size(); ++m) {
    const std::string suffix = p.states.size() == 1 ? "" : fmt::format("/{}", m);
    d.board->scalar("train/loss" + suffix, p.step, p.states[m].loss);
    d.board->scalar("train/gradient_norm" + suffix, p.step, p.states[m].gradient_norm);
    d.board->scalar("train/lr" + suffix, p.step, p.states[m].config.train.lr * factor);
  }
}

// What parts report, as LAYER.NAME: a value a member. Written to the board too.
Json parts_json(Driver& d, const std::vector<Evaluation>& evaluations) {
  Json parts = Json::object();
  for (size_t m = 0; m < evaluations.size(); ++m)
    for (const Statistic& s : evaluations[m].statistics) {
      const std::string name = fmt::format("{}.{}", s.layer, s.name);
      if (!parts.contains(name)) parts[name] = Json::array();
      parts[name].push_back(json_number(s.value));
      const std::string suffix = evaluations.size() == 1 ? "" : fmt::format("/{}", m);
      if (d.on_disk() && std::isfinite(s.value))
        d.board->scalar("parts/" + name + suffix, d.population.step, s.value);
    }
  return parts;
}

std::vector<MemberResult> evaluate(Driver& d) {
  Population& p = d.population;
  const std::vector<Evaluation> evaluations = p.evaluate(d.held_out);
  std::vector<MemberResult> results;
  Json event{{"event", "eval"},
             {"step", p.step},
             {"tokens", p.step * d.step_tokens()},
             {"loss", Json::array()},
             {"L_se", Json::array()}};
  for (size_t m = 0; m < p.states.size(); ++m) {
    const MemberState& state = p.states[m];
    MemberResult r{.config = state.config,
                   .status = state.status,
                   .steps = p.step,
                   .tokens = p.step * d.step_tokens(),
                   .loss = evaluations[m].loss,
                   .standard_error = evaluations[m].standard_error,
                   .training_loss = state.loss};
    if (!std::isfinite(r.loss)) r.status = MemberStatus::diverged;
    if (r.status == MemberStatus::diverged) r.loss = std::numeric_limits<double>::quiet_NaN();
    event["loss"].push_back(json_number(r.loss));
    event["L_se"].push_back(json_number(r.standard_error));
    if (d.on_disk() && std::isfinite(r.loss))
      d.board->scalar(p.states.size() == 1 ? "eval/loss" : fmt::format("eval/loss/{}", m), p.step,
                      r.loss);
    results.push_back(std::move(r));
  }
  if (const Json parts = parts_json(d, evaluations); !parts.empty()) event["parts"] = parts;
  if (d.on_disk()) {
    d.log->write(event);
    d.board->flush();
  }
  return results;
}

void report_progress(Driver& d) {
  if (!d.hooks.progress) return;
  const Population& p = d.population;
  const double unit = static_cast<double>(d.step_tokens() * p.members());
  double loss = std::numeric_limits<double>::infinity();
  for (const MemberState& s : p.states)
    if (s.status == MemberStatus::running) loss = std::min(loss, s.loss);
  d.hooks.progress({.label = d.request.label,
                    .done = static_cast<double>(d.done_steps) * unit,
                    .total = static_cast<double>(d.total_steps) * unit,
                    .seconds = seconds_since(d.start),
                    .loss = std::isfinite(loss) ? loss : 0.0,
                    .resumed_from = static_cast<double>(d.resumed_steps) * unit});
}

void save(Driver& d, size_t finish, bool passing = false) {
  if (!d.on_disk()) return;
  d.population.sync();
  save_checkpoint(d.population, d.checkpoints(),
                  {{"finish", finish},
                   {"done_steps", d.done_steps},
                   {"seconds", d.seconds()},
                   {"passing", passing},
                   {"results", finishes_to_json(d.result.finishes)}});
  if (std::exchange(d.behind, false))
    remove_passing_checkpoints(d.checkpoints(),
                               checkpoint_path(d.checkpoints(), d.population.step));
}

// Whether a checkpoint of this step is wanted whatever happens: branches begin at trunks' ends.
bool scheduled_checkpoint(const Driver& d) {
  const int64_t step = d.population.step,
                every = d.population.states.front().config.train.checkpoint_every;
  return (every > 0 && step % every == 0) ||
         std::ranges::any_of(d.finishes, [step](const Schedule& s) { return s.trunk() == step; });
}

// Advances to `target` steps; false when interrupted (saved), or when no member is left.
bool advance_to(Driver& d, int64_t target, size_t finish) {
  Population& p = d.population;
  const TrainConfig& train = p.states.front().config.train;
  const int64_t log_every = std::max<int64_t>(1, d.finishes.back().steps / 200);
  while (p.step < target) {
    if (d.hooks.interrupted && d.hooks.interrupted()) {
      save(d, finish, !scheduled_checkpoint(d));
      d.result.interrupted = true;
      return false;
    }
    p.advance();
    ++d.done_steps;
    if (p.all_diverged()) {
      if (d.request.fails_diverged)
        fail(
            "[train] Every member diverged by step {} (last learning rate {:g}). Lower train.lr, "
            "or set train.clip.",
            p.step, train.lr);
      d.all_diverged = true;
      return false;
    }
    if (p.step % log_every == 0 || p.step == target) log_step(d);
    report_progress(d);
    if (train.eval_every > 0 && p.step % train.eval_every == 0 && p.step != target) evaluate(d);
    if (train.checkpoint_every > 0 && p.step % train.checkpoint_every == 0 && p.step != target)
      save(d, finish);
  }
  return true;
}

// What a run that stopped before its end gives.
RunResult stopped(Driver& d) {
  if (!d.all_diverged) return d.result;
  const double nan = std::numeric_limits<double>::quiet_NaN();
  std::vector<MemberResult> members;
  for (const RunConfig& config : d.request.members)
    members.push_back({.config = config,
                       .status = MemberStatus::diverged,
                       .loss = nan,
                       .standard_error = nan,
                       .training_loss = nan});
  return {.finishes = Finishes(d.finishes.size(), members)};
}

// Whether the folder's run has ended and kept no checkpoints: its result is then read back.
bool read_ended(Driver& d) {
  if (!d.request.resume || !d.on_disk()) return false;
  if (d.request.keep_checkpoints && newest_checkpoint(d.checkpoints())) return false;
  std::optional<EndedRun> ended = read_result(d.request.folder, d.request.members);
  if (!ended) return false;
  d.result.finishes = std::move(ended->finishes);
  d.earlier_seconds = ended->seconds;
  // A run that was killed while it removed them has left some.
  if (!d.request.keep_checkpoints) remove_checkpoints(d.checkpoints());
  return true;
}

// The text's path in the settings, and its hash (empty: no text), by which it is known elsewhere.
Json data_json(const RunConfig& config, const TokenSource& source) {
  return {{"path", config.data.path}, {"sha256", source.describe().value("sha256", "")}};
}

// Opens the folder; returns the index of the finish to continue with.
size_t open_folder(Driver& d) {
  make_folder(d.request.folder, "train");
  d.lock = std::make_unique<FolderLock>(d.request.folder);
  const auto newest = newest_checkpoint(d.checkpoints());
  if (!d.request.resume && (newest || fs::exists(d.request.folder / "result.json")))
    fail("[train] {} holds a run already. Use --resume to continue it, or another --out.",
         d.request.folder.string());
  size_t finish = 0;
  if (d.request.resume && newest) {
    const Json position = load_checkpoint(d.population, *newest);
    d.behind = true;
    finish = position.at("finish").get<size_t>();
    d.done_steps = d.resumed_steps = position.at("done_steps").get<int64_t>();
    d.earlier_seconds = position.value("seconds", 0.0);
    d.result.finishes = finishes_from_json(position.at("results"), d.request.members);
  }
  write_file(d.request.folder / "config.toml", to_toml(d.population.states.front().config));
  d.log = std::make_unique<JsonLog>(d.request.folder / "log.jsonl");
  d.board = std::make_unique<TensorBoard>(d.request.folder);
  d.log->write({{"event", "run_start"},
                {"step", d.population.step},
                {"members", d.population.members()},
                {"data", d.data},
                {"config", to_json(d.population.states.front().config)}});
  return finish;
}

}  // namespace

RunResult train_run(const RunRequest& request, std::shared_ptr<const TokenSource> source,
                    const HeldOut& held_out, const Machine& machine, const RunHooks& hooks) {
  Driver d{request, held_out, hooks, data_json(request.members.front(), *source),
           Population(request.members, std::move(source), machine)};
  d.finishes = finishes_of(request, d.population);
  d.total_steps = count_steps(d.finishes);
  const size_t first = read_ended(d) ? d.finishes.size() : d.on_disk() ? open_folder(d) : 0;
  for (size_t k = first; k < d.finishes.size(); ++k) {
    const bool last = k + 1 == d.finishes.size();
    d.population.reschedule(d.finishes[k]);
    if (d.population.step < d.finishes[k].trunk() && !advance_to(d, d.finishes[k].trunk(), k))
      return stopped(d);
    if (!last) {
      if (!d.on_disk())
        fail("[train] A trunk with several branches needs a folder for its checkpoints.");
      if (d.population.step == d.finishes[k].trunk()) save(d, k);
    }
    if (!advance_to(d, d.finishes[k].steps, k)) return stopped(d);
    d.result.finishes.push_back(evaluate(d));
    if (last) {
      if (request.keep_checkpoints) save(d, k + 1);
      break;
    }
    load_checkpoint(d.population, checkpoint_path(d.checkpoints(), d.finishes[k].trunk()));
    save(d, k + 1);
  }
  const bool anew = first < d.finishes.size();  // else it is read back
  d.result.seconds = anew ? d.seconds() : d.earlier_seconds;
  const double steps = static_cast<double>(d.total_steps);
  const ModelConfig& model = d.population.decoder.model;
  d.result.flops = training_flops(d.population.decoder, model.context) * steps *
                   static_cast<double>(d.population.batch_sequences);
  if (d.on_disk() && (anew || !fs::exists(request.folder / "result.json"))) {
    Json all = Json::array();
    for (const auto& members : d.result.finishes)
      for (const MemberResult& r : members) all.push_back(to_json(r));
    d.log->write({{"event", "run_end"}, {"results", all}}, true);
    write_result(request.folder, {d.result.finishes, d.result.flops, d.result.seconds});
    if (!request.keep_checkpoints) remove_checkpoints(d.checkpoints());
  }
  return d.result;
}

}  // namespace rung
