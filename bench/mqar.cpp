// Multi-query associative recall (Arora et al. 2023, arXiv 2312.04927): pairs of a key and a value,
// then every key again, in other orders, each to be followed by its value. How much of it a
// recurrence solves goes with the size of its state (Dao & Gu 2024).
//
//   mqar [PAIRS [STEPS [SEEDS]]] [KEY=VALUE ...]
//
// KEY=VALUE are settings of the runs, such as train.lr=0.25. States are 1 to 32, then attention.
//
// Prints a Markdown table: mixer, state size, parameters, share of values recalled (mean, lowest
// and highest of the seeds) on sequences that were never trained on.
#include <ATen/core/Tensor.h>

#include <cstdio>

#include "core/random.h"
#include "data/made_tokens.h"
#include "scaling/count.h"
#include "seeds.h"

using namespace rung;

namespace {

constexpr int64_t keys = 16, values = 16, asked = 2;

// Keys are 0 .. keys - 1, values follow. A sequence is PAIRS (key, value) with distinct keys, and
// then all of them `asked` times, each time in an order of its own.
class Recall : public MadeTokens {
 public:
  explicit Recall(int64_t pairs) : pairs_(pairs) {}
  int64_t vocabulary() const override { return keys + values; }
  int64_t sequences(int64_t) const override { return int64_t{1} << 40; }
  void read(int64_t index, std::span<int32_t> out) const override {
    Random random(17, "recall", static_cast<uint64_t>(index));
    std::vector<int32_t> key(static_cast<size_t>(keys)), value(static_cast<size_t>(keys)), tokens;
    std::iota(key.begin(), key.end(), 0);
    shuffle(key, keys, random);
    for (int32_t& v : value) v = static_cast<int32_t>(keys + below(values, random));
    for (int64_t round = 0; round <= asked; ++round) {
      for (int64_t i = 0; i < pairs_; ++i) {
        const int32_t k = key[static_cast<size_t>(i)];
        tokens.push_back(k);
        tokens.push_back(value[static_cast<size_t>(k)]);
      }
      shuffle(key, pairs_, random);
    }
    tokens.push_back(0);  // the target after the last value, which nothing tells
    std::copy_n(tokens.begin(), out.size(), out.begin());
  }

 private:
  static int64_t below(int64_t n, Random& random) {
    return static_cast<int64_t>(random.below(static_cast<uint64_t>(n)));
  }
  static void shuffle(std::vector<int32_t>& list, int64_t count, Random& random) {
    for (int64_t i = count - 1; i > 0; --i)
      std::swap(list[static_cast<size_t>(i)], list[static_cast<size_t>(below(i + 1, random))]);
  }
  int64_t pairs_;
};

struct Study {
  int64_t pairs = 4, steps = 600, seeds = 4;
  bench::Options options;
  int64_t time() const { return 2 * pairs * (1 + asked); }
};

RunConfig config_of(const Study& study, int64_t state) {
  RunConfig config;
  config.parametrisation = "standard";
  config.train.lr = 0.01;
  config.model.width = 32;
  config.model.depth = 2;
  config.model.ffn_ratio = 2.0;
  config.model.context = study.time();
  config.model.mixer = state ? "mamba2" : "attention";
  if (state) config.model.ssm_state = state;
  config.train.batch_tokens = 64 * config.model.context;
  config.train.tokens = study.steps * config.train.batch_tokens;
  study.options.apply(config);
  return config;
}

// The share of second values that are the likeliest token after their keys.
double recalled(Population& population, int64_t member, const Study& study, const Recall& source) {
  return bench::share_right(
      bench::ask(population, member, source, 256),
      [&](const int64_t*, int64_t t) { return t >= 2 * study.pairs && t % 2 == 0; });
}

void run(const Study& study, int64_t state, const Machine& machine) {
  const bench::Stopwatch watch;
  const auto source = std::make_shared<Recall>(study.pairs);
  const auto population = bench::train_seeds(config_of(study, state), study.seeds, source, machine);
  std::vector<double> share;
  for (int64_t m = 0; m < study.seeds; ++m)
    share.push_back(recalled(*population, m, study, *source));
  const auto [mean, low, high] = bench::spread_of(share);
  std::printf("| %s | %s | %lld | %.3f | %.3f to %.3f | %.0f |\n", state ? "mamba2" : "attention",
              state ? std::to_string(state).c_str() : "",
              static_cast<long long>(count(population->decoder.layout.tensors).N), mean, low, high,
              watch.seconds());
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  Study study;
  study.options = bench::Options::read(argc, argv, study.pairs, study.steps, study.seeds);
  const Machine machine = make_machine("cpu", 2);
  std::printf("| mixer | state | N | recalled | seeds | seconds |\n|---|---|---|---|---|---|\n");
  for (const int64_t state : {1, 2, 4, 8, 16, 32, 0}) run(study, state, machine);
}
