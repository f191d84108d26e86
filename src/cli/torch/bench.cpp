// rung bench: training speed against plain PyTorch on the same model and machine, in turns.
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>

#include "cli/torch/rival.h"
#include "cli/verb.h"
#include "core/error.h"
#include "core/random.h"
#include "core/table.h"
#include "train/population.h"

namespace rung {
namespace {

// Endless uniformly random tokens: speed does not depend on what they are.
class RandomTokens : public TokenSource {
 public:
  int64_t vocabulary() const override { return 256; }
  int64_t sequences(int64_t) const override { return 8192; }
  void read(int64_t index, std::span<int32_t> out) const override {
    const size_t start = static_cast<size_t>(index) * 128;
    for (size_t i = 0; i < out.size(); ++i) out[i] = tokens_[(start + i) % tokens_.size()];
  }
  HeldOut held_out(int64_t, int64_t) const override { return {}; }
  std::vector<int32_t> encode(const std::string&) const override { return {}; }
  std::string decode(std::span<const int32_t>) const override { return {}; }
  double entropy(int64_t) const override { return std::log(256.0); }
  Json describe() const override { return {{"path", "random"}}; }

 private:
  std::vector<int32_t> tokens_ = [] {
    std::vector<int32_t> tokens(1 << 20);
    Random random(1, "bench");
    for (int32_t& token : tokens) token = static_cast<int32_t>(random.below(256));
    return tokens;
  }();
};

// One model and the way in which the rival trains its members.
struct BenchCase {
  std::string_view name, summary;
  int64_t width, members;
  int processes;  // of the rival, at once; the members and the threads are shared out among them
};
constexpr std::array bench_cases{
    BenchCase{"sweep8-w64", "8 learning rates at width 64; rival: one after another", 64, 8, 1},
    BenchCase{"sweep8-w64-processes", "8 learning rates at width 64; rival: a process a thread", 64,
              8, 0},
    BenchCase{"single-w256", "one model at width 256", 256, 1, 1},
};

struct BenchOptions {
  int64_t steps, warmup = 5;
  int rounds, threads;
  std::vector<std::string> rival;  // command; empty: none
  bool compile;
};

struct Measurement {
  double tokens = 0.0, seconds = 0.0;
  double rate() const { return tokens / seconds; }
};

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : 0.5 * (values[half - 1] + values[half]);
}

// The rival's model: standard parametrisation, RMSNorm, RoPE, SwiGLU, four heads, untied, AdamW.
std::vector<RunConfig> bench_members(const BenchCase& c, const BenchOptions& options) {
  RunConfig config;
  config.parametrisation = "standard";
  config.model.width = c.width;
  config.train.tokens = (options.steps + options.warmup) * config.train.batch_tokens;
  config.train.epsilon = 1e-8;
  config.train.lr = 0.0005;
  std::vector<RunConfig> members;
  for (int64_t i = 0; i < c.members; ++i, config.train.lr *= std::sqrt(2.0))
    members.push_back(config);
  return members;
}

Measurement run_ours(const BenchCase& c, const BenchOptions& options,
                     const std::shared_ptr<const TokenSource>& source, const Arguments& arguments) {
  const std::vector<RunConfig> members = bench_members(c, options);
  Population population(members, source, make_machine("cpu", options.threads));
  for (int64_t i = 0; i < options.warmup; ++i) population.advance();
  const auto start = std::chrono::steady_clock::now();
  for (int64_t i = 0; i < options.steps; ++i) {
    population.advance();
    if (arguments.interrupted()) fail("[bench] Interrupted.");
  }
  return {static_cast<double>(options.steps * members[0].train.batch_tokens * c.members),
          seconds_since(start)};
}

// Members and threads are shared out among the processes; the slowest process's timed steps count.
Measurement run_rival(const BenchCase& c, const BenchOptions& options,
                      std::span<const std::unique_ptr<Rival>> rivals) {
  const std::vector<RunConfig> members = bench_members(c, options);
  const size_t count = rivals.size();
  for (size_t r = 0; r < count; ++r) {
    Json rates = Json::array();
    for (size_t i = r; i < members.size(); i += count) rates.push_back(members[i].train.lr);
    const ModelConfig& model = members[0].model;
    rivals[r]->send({{"width", model.width},
                     {"depth", model.depth},
                     {"context", model.context},
                     {"batch_tokens", members[0].train.batch_tokens},
                     {"vocabulary", 256},
                     {"ratio", model.ffn_ratio},
                     {"lrs", rates},
                     {"steps", options.steps},
                     {"warmup", options.warmup},
                     {"threads", std::max(1, options.threads / static_cast<int>(count))},
                     {"compile", options.compile}});
  }
  Measurement total;
  for (const auto& rival : rivals) {
    const Json answer = rival->receive();
    total.tokens += answer.at("tokens").get<double>();
    total.seconds = std::max(total.seconds, answer.at("seconds").get<double>());
  }
  return total;
}

struct Row {
  std::vector<double> rates, rival_rates, ratios;
  double seconds = 0.0;
};

Json row_json(const BenchCase& c, const Row& row) {
  Json json = {{"case", c.name},     {"seconds", row.seconds}, {"rate", median(row.rates)},
               {"unit", "tokens/s"}, {"rival", nullptr},       {"ratio", nullptr},
               {"rates", row.rates}};
  if (row.ratios.empty()) return json;
  json["rival"] = median(row.rival_rates);
  json["ratio"] = median(row.ratios);
  json["rival_rates"] = row.rival_rates;
  return json;
}

// Rival, ours, rival, ours, ...: a machine that slows down slows both.
Row run_case(const BenchCase& c, const BenchOptions& options, const Arguments& arguments) {
  static const auto source = std::make_shared<RandomTokens>();
  const auto start = std::chrono::steady_clock::now();
  std::vector<std::unique_ptr<Rival>> rivals;
  const int processes = c.processes ? c.processes : options.threads;
  for (int i = 0; i < processes && !options.rival.empty(); ++i)
    rivals.push_back(std::make_unique<Rival>(options.rival));
  Row row;
  for (int round = 0; round < options.rounds; ++round) {
    if (!rivals.empty()) row.rival_rates.push_back(run_rival(c, options, rivals).rate());
    row.rates.push_back(run_ours(c, options, source, arguments).rate());
    if (!rivals.empty()) row.ratios.push_back(row.rates.back() / row.rival_rates.back());
    arguments.out->note(
        fmt::format("{} round {}: {:.1f}k tok/s{}", c.name, round + 1, row.rates.back() / 1e3,
                    rivals.empty() ? ""
                                   : fmt::format(", rival {:.1f}k, {:.2f} x",
                                                 row.rival_rates.back() / 1e3, row.ratios.back())));
  }
  row.seconds = seconds_since(start);
  return row;
}

// bench/rival_cpu.py beside a folder that holds this program, or below the working folder.
std::string find_script() {
  namespace fs = std::filesystem;
  std::error_code error;
  fs::path folder = fs::read_symlink("/proc/self/exe", error).parent_path();
  for (; folder.has_relative_path(); folder = folder.parent_path())
    if (fs::is_regular_file(folder / "bench" / "rival_cpu.py", error))
      return folder / "bench" / "rival_cpu.py";
  return "bench/rival_cpu.py";
}

BenchOptions read_options(const Arguments& arguments) {
  BenchOptions options{.steps = arguments.integer("--steps"),
                       .rounds = static_cast<int>(arguments.integer("--rounds")),
                       .threads = arguments.threads,
                       .rival = {},
                       .compile = arguments.flag("--compile")};
  if (options.steps < 1 || options.steps > 1'000'000)
    fail_usage("[bench] --steps is at least 1. Received {}.", options.steps);
  if (options.rounds < 1 || options.rounds > 1000)
    fail_usage("[bench] --rounds is at least 1. Received {}.", options.rounds);
  std::string python = arguments.text("--rival-python");
  if (const char* given = std::getenv("RUNG_PYTHON"); python.empty() && given) python = given;
  if (python.empty())
    arguments.out->warn("bench: no rival; give --rival-python a Python that has torch");
  else
    options.rival = {python, find_script(), "--serve"};
  return options;
}

std::vector<const BenchCase*> choose_cases(const std::vector<std::string>& names) {
  std::vector<const BenchCase*> chosen;
  for (const BenchCase& c : bench_cases)
    if (names.empty() || std::find(names.begin(), names.end(), c.name) != names.end())
      chosen.push_back(&c);
  return chosen;
}

int run(const Arguments& arguments) {
  if (arguments.device == "cuda")
    fail_usage("[bench] The cases are for the CPU. Received --device cuda.");
  const BenchOptions options = read_options(arguments);
  Json cases = Json::array();
  std::vector<TableRow> rows;
  for (const BenchCase* c : choose_cases(arguments.list("CASE"))) {
    const Row row = run_case(*c, options, arguments);
    cases.push_back(row_json(*c, row));
    const bool alone = row.ratios.empty();
    rows.push_back({std::string(c->name), fmt::format("{:.1f}k", median(row.rates) / 1e3),
                    alone ? "-" : fmt::format("{:.1f}k", median(row.rival_rates) / 1e3),
                    alone ? "-" : fmt::format("{:.2f} x", median(row.ratios)),
                    fmt::format("{:.1f} s", row.seconds), std::string(c->summary)});
  }
  arguments.out->result({{"cases", cases}, {"threads", options.threads}, {"steps", options.steps}},
                        text_table({"case", "tok/s", "rival", "ratio", "took", "what"}, rows));
  return 0;
}

std::vector<std::string> case_names() {
  std::vector<std::string> names;
  for (const BenchCase& c : bench_cases) names.emplace_back(c.name);
  return names;
}

}  // namespace

extern const Verb bench_verb;
const Verb bench_verb{
    .name = "bench",
    .group = "tools",
    .summary = "training speed against plain PyTorch on the same model and machine",
    .example = "rung bench sweep8-w64 --rounds 3 --rival-python python3",
    .options = {{.name = "CASE",
                 .takes = Takes::list,
                 .help = "cases to run; all without any",
                 .choices = case_names()},
                {.name = "--steps", .help = "timed steps a round", .default_text = "300"},
                {.name = "--rounds",
                 .help = "rounds of rival and ours in turn; the ratio is their median",
                 .default_text = "2"},
                {.name = "--rival-python", .help = "Python with torch for the rival"},
                {.name = "--compile",
                 .takes = Takes::flag,
                 .help = "let the rival use torch.compile"}},
    .run = run};

}  // namespace rung
