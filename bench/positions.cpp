// Counting and flip-flop (Golovneva et al. 2024, arXiv 2405.18719, sections 5.1 and 5.2; Liu et al.
// 2023, arXiv 2306.00946): where what matters lies is told by what was read, not by how long ago it
// was. In and out of the distribution that was trained on.
//
//   positions [STEPS [SEEDS]] [counting | flip-flop] [KIND ...] [KEY=VALUE ...]
//
// KIND are values of model.position. KEY=VALUE are settings of the runs; `device` says where they
// run. Of the rates 0.001, 0.003 and 0.01 the one with the lowest training error in distribution is
// taken. Prints a Markdown table: wrong answers in per cent, in distribution, with what matters
// further apart, and closer together (mean of the seeds, lowest and highest).
#include <ATen/core/Tensor.h>

#include <cstdio>

#include "core/random.h"
#include "data/made_tokens.h"
#include "scaling/count.h"
#include "seeds.h"

using namespace rung;

namespace {

// Instructions that are followed by what they leave behind, one behind the other.
struct Task : MadeTokens {
  explicit Task(double idle) : idle_(idle) {}
  int64_t sequences(int64_t) const override { return int64_t{1} << 40; }
  virtual bool asks(int32_t token) const = 0;  // what follows is an answer
  virtual std::shared_ptr<Task> with(double idle) const = 0;

 protected:
  double idle_;  // share of instructions that change nothing and ask nothing
};

// write, ignore or read, each before a bit: behind read stands the bit that was written last.
struct FlipFlop : Task {
  using Task::Task;
  enum : int32_t { write = 2, ignore = 3, ask = 4 };
  int64_t vocabulary() const override { return 5; }
  bool asks(int32_t token) const override { return token == ask; }
  std::shared_ptr<Task> with(double idle) const override {
    return std::make_shared<FlipFlop>(idle);
  }
  void read(int64_t index, std::span<int32_t> out) const override {
    Random random(23, "flip-flop", static_cast<uint64_t>(index));
    int32_t written = 0;
    for (size_t at = 0; at < out.size(); at += 2) {
      const double draw = random.uniform();
      out[at] = at == 0 ? write : draw < idle_ ? ignore : draw < 0.5 * (1.0 + idle_) ? write : ask;
      const auto bit = static_cast<int32_t>(random.below(2));
      if (out[at] == write) written = bit;
      if (at + 1 < out.size()) out[at + 1] = out[at] == ask ? written : bit;
    }
  }
};

// reset, increment (at most nine since the reset), pass and ask, behind which stands the count.
struct Counting : Task {
  using Task::Task;
  enum : int32_t { reset = 10, increment, pass, ask };
  int64_t vocabulary() const override { return 14; }
  bool asks(int32_t token) const override { return token == ask; }
  std::shared_ptr<Task> with(double idle) const override {
    return std::make_shared<Counting>(idle);
  }
  void read(int64_t index, std::span<int32_t> out) const override {
    Random random(23, "counting", static_cast<uint64_t>(index));
    int32_t count = 0;
    for (size_t at = 0; at < out.size(); ++at) {
      const double draw = random.uniform(), rest = 1.0 - idle_;
      out[at] = at == 0                     ? reset
                : draw < idle_              ? pass
                : draw < idle_ + 0.5 * rest ? (count < 9 ? increment : reset)
                : draw < idle_ + 0.6 * rest ? reset
                                            : ask;
      if (out[at] == reset) count = 0;
      if (out[at] == increment) ++count;
      if (out[at] == ask && ++at < out.size()) out[at] = count;
    }
  }
};

struct Study {
  int64_t steps = 2000, seeds = 3;
  bench::Options options;
};

RunConfig config_of(const Study& study, const std::string& kind, double lr) {
  RunConfig config;
  config.parametrisation = "standard";
  config.model.width = 64;
  config.model.depth = 3;
  config.model.context = 128;
  config.model.position = kind;
  config.model.cope_positions = 32;
  config.train.epsilon = 1e-8;
  config.train.batch_tokens = 32 * config.model.context;
  study.options.apply(config);
  config.train.lr = lr;
  config.train.tokens = study.steps * config.train.batch_tokens;
  return config;
}

// Wrong answers, in per cent, in sequences that were never trained on.
double wrong(Population& population, int64_t member, const Task& task) {
  const double right = bench::share_right(
      bench::ask(population, member, task, 512),
      [&](const int64_t* token, int64_t t) { return task.asks(static_cast<int32_t>(token[t])); });
  return 100.0 * (1.0 - right);
}

struct Kind {
  const char* name;
  std::shared_ptr<Task> task;
  double far, near;  // idle shares out of distribution
};

void run(const Study& study, const Kind& setting, const std::string& kind, const Machine& machine) {
  const bench::Stopwatch watch;
  double best_lr = 0.0, best = 1e9;
  std::vector<double> shares[3];
  int64_t N = 0;
  for (const double lr : {0.001, 0.003, 0.01}) {
    const auto population =
        bench::train_seeds(config_of(study, kind, lr), study.seeds, setting.task, machine);
    N = count(population->decoder.layout.tensors).N;
    std::vector<double> own[3];
    for (int64_t m = 0; m < study.seeds; ++m) {
      own[0].push_back(wrong(*population, m, *setting.task));
      own[1].push_back(wrong(*population, m, *setting.task->with(setting.far)));
      own[2].push_back(wrong(*population, m, *setting.task->with(setting.near)));
    }
    const double mean = bench::spread_of(own[0]).mean;
    if (mean >= best) continue;
    best = mean, best_lr = lr;
    std::move(std::begin(own), std::end(own), std::begin(shares));
  }
  std::printf("| %s | %s | %lld | %g |", setting.name, kind.c_str(), static_cast<long long>(N),
              best_lr);
  for (const auto& share : shares) {
    const auto [mean, low, high] = bench::spread_of(share);
    std::printf(" %.2f, %.2f to %.2f |", mean, low, high);
  }
  std::printf(" %.0f |\n", watch.seconds());
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  Study study;
  study.options = bench::Options::read(argc, argv, study.steps, study.seeds);
  std::vector<std::string> kinds = study.options.take_words();
  const bool named = !kinds.empty() && (kinds[0] == "counting" || kinds[0] == "flip-flop");
  const std::string only = named ? kinds[0] : "";
  if (named) kinds.erase(kinds.begin());
  if (kinds.empty()) kinds = {"cope", "rope", "learned", "none"};
  const Machine machine = make_machine(config_of(study, kinds[0], 0.001).device, 2);
  std::printf(
      "| task | positions | N | rate | in distribution | further apart | closer | seconds |\n"
      "|---|---|---|---|---|---|---|---|\n");
  for (const Kind& setting : {Kind{"flip-flop", std::make_shared<FlipFlop>(0.8), 0.98, 0.1},
                              Kind{"counting", std::make_shared<Counting>(0.5), 0.85, 0.1}})
    if (only.empty() || only == setting.name)
      for (const std::string& kind : kinds) run(study, setting, kind, machine);
}
