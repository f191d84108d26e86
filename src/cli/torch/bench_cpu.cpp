// The CPU cases of rung bench: rival and ours take turns; the rival is bench/rival_cpu.py.
#include <algorithm>
#include <cmath>

#include "cli/torch/bench.h"
#include "cli/torch/rival.h"
#include "core/error.h"
#include "core/random.h"
#include "data/made_tokens.h"
#include "train/population.h"

namespace rung {
namespace {

// Endless uniformly random tokens: speed does not depend on what they are.
class RandomTokens : public MadeTokens {
 public:
  int64_t vocabulary() const override { return 256; }
  int64_t sequences(int64_t) const override { return 8192; }
  void read(int64_t index, std::span<int32_t> out) const override {
    const size_t start = static_cast<size_t>(index) * 128;
    for (size_t i = 0; i < out.size(); ++i) out[i] = tokens_[(start + i) % tokens_.size()];
  }
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

struct Measurement {
  double tokens = 0.0, seconds = 0.0;
  double warmup = 0.0;  // seconds before the timed ones: what a compiling rival compiles in
  double rate() const { return tokens / seconds; }
  double rate_with_warmup() const { return tokens / (seconds + warmup); }
};

// The rival's model: standard parametrisation, RMSNorm, RoPE, SwiGLU, four heads, untied, AdamW.
std::vector<RunConfig> bench_members(const CpuCase& c, const BenchOptions& options) {
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

std::unique_ptr<Population> make_ours(const CpuCase& c, const BenchOptions& options) {
  static const auto source = std::make_shared<RandomTokens>();
  return std::make_unique<Population>(bench_members(c, options), source,
                                      make_machine("cpu", options.threads));
}

Measurement run_ours(const CpuCase& c, const BenchOptions& options, const Arguments& arguments) {
  const std::unique_ptr<Population> ours = make_ours(c, options);
  Population& population = *ours;
  for (int64_t i = 0; i < options.warmup; ++i) population.advance();
  const auto start = Clock::now();
  for (int64_t i = 0; i < options.steps; ++i) {
    population.advance();
    if (arguments.interrupted()) fail("[bench] Interrupted.");
  }
  const int64_t batch = population.states.front().config.train.batch_tokens;
  return {static_cast<double>(options.steps * batch * c.members), seconds_since(start)};
}

// Members and threads are shared out among the processes; the slowest process's timed steps count.
Measurement run_rival(const CpuCase& c, const BenchOptions& options,
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
    total.warmup = std::max(total.warmup, answer.at("warmup_seconds").get<double>());
  }
  return total;
}

struct CpuRow {
  std::vector<double> rates, rival_rates, ratios, warmup_ratios;
  double seconds = 0.0;
};

Json cpu_row_json(const CpuCase& c, const CpuRow& row) {
  Json json = {{"case", c.name},     {"seconds", row.seconds}, {"rate", median(row.rates)},
               {"unit", "tokens/s"}, {"rival", nullptr},       {"ratio", nullptr},
               {"rates", row.rates}};
  if (row.ratios.empty()) return json;
  json["rival"] = median(row.rival_rates);
  json["ratio"] = median(row.ratios);
  json["rival_rates"] = row.rival_rates;
  json["ratio_with_warmup"] = median(row.warmup_ratios);  // the rival's own warm-up counted
  return json;
}

// Rival, ours, rival, ours, ...: a machine that slows down slows both.
CpuRow run_cpu_case(const CpuCase& c, const BenchOptions& options, const Arguments& arguments) {
  const auto start = Clock::now();
  std::vector<std::unique_ptr<Rival>> rivals;
  const int processes = c.processes ? c.processes : options.threads;
  for (int i = 0; i < processes && !options.python.empty(); ++i)
    rivals.push_back(std::make_unique<Rival>(rival_command(options, "rival_cpu.py")));
  CpuRow row;
  for (int round = 0; round < options.cpu_rounds; ++round) {
    const Measurement rival = rivals.empty() ? Measurement{} : run_rival(c, options, rivals);
    row.rates.push_back(run_ours(c, options, arguments).rate());
    if (!rivals.empty()) {
      row.rival_rates.push_back(rival.rate());
      row.ratios.push_back(row.rates.back() / rival.rate());
      row.warmup_ratios.push_back(row.rates.back() / rival.rate_with_warmup());
    }
    arguments.out->note(fmt::format(
        "{} round {}: {:.1f}k tok/s{}", c.name, round + 1, row.rates.back() / 1e3,
        rivals.empty()
            ? ""
            : fmt::format(", rival {:.1f}k, {:.2f} x ({:.2f} x with its {:.0f} s of warm-up)",
                          rival.rate() / 1e3, row.ratios.back(), row.warmup_ratios.back(),
                          rival.warmup)));
  }
  row.seconds = seconds_since(start);
  return row;
}

}  // namespace

BenchTable run_cpu_cases(std::span<const CpuCase* const> cases, const BenchOptions& options,
                         const Arguments& arguments) {
  BenchTable table;
  table.head = {"case", "tok/s", "rival", "ratio", "took", "what"};
  for (const CpuCase* c : cases) {
    const CpuRow row = run_cpu_case(*c, options, arguments);
    table.cases.push_back(cpu_row_json(*c, row));
    const auto make = [&] { return make_ours(*c, options); };
    add_profile(options, c->name, make, table.cases.back(), table);
    const bool alone = row.ratios.empty();
    table.rows.push_back({std::string(c->name), fmt::format("{:.1f}k", median(row.rates) / 1e3),
                          alone ? "-" : fmt::format("{:.1f}k", median(row.rival_rates) / 1e3),
                          alone ? "-" : fmt::format("{:.2f} x", median(row.ratios)),
                          fmt::format("{:.1f} s", row.seconds), std::string(c->summary)});
  }
  return table;
}

}  // namespace rung
