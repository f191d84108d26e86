// Parity of a string of bits, asked once at its end: a state that must be followed exactly, which
// recurrent weights can do and gates that do not see the state cannot (Beck et al. 2024, table of
// formal languages).
//
//   parity [LENGTH [STEPS [SEEDS]]] [KEY=VALUE | PATTERN ...]
//
// Strings of 2 to LENGTH bits are trained on. KEY=VALUE are settings of the runs, such as
// train.lr=0.01 or device=cuda; PATTERN, such as "mlstm, slstm", are mixers by layer. Prints a
// Markdown table: mixers by layer, parameters, share of right answers at LENGTH and at twice LENGTH
// (mean, lowest and highest of the seeds); guessing gets 0.5.
#include <ATen/core/Tensor.h>

#include <algorithm>
#include <cstdio>

#include "core/random.h"
#include "data/made_tokens.h"
#include "scaling/count.h"
#include "seeds.h"

using namespace rung;

namespace {

constexpr int32_t blank = 2, question = 3;

// Blanks, `shortest` to `longest` bits, the question and its answer.
class Parity : public MadeTokens {
 public:
  Parity(int64_t shortest, int64_t longest) : shortest_(shortest), longest_(longest) {}
  int64_t vocabulary() const override { return 4; }
  int64_t sequences(int64_t) const override { return int64_t{1} << 40; }
  void read(int64_t index, std::span<int32_t> out) const override {
    Random random(23, "parity", static_cast<uint64_t>(index));
    const auto choices = static_cast<uint64_t>(longest_ - shortest_ + 1);
    const auto bits = static_cast<size_t>(shortest_) + random.below(choices);
    int32_t parity = 0;
    for (size_t i = 0; i + 2 < out.size(); ++i) {
      const bool is_bit = i + 2 + bits >= out.size();
      out[i] = is_bit ? static_cast<int32_t>(random.below(2)) : blank;
      if (is_bit) parity ^= out[i];
    }
    out[out.size() - 2] = question;
    out[out.size() - 1] = parity;
  }

 private:
  int64_t shortest_, longest_;
};

struct Study {
  int64_t length = 12, steps = 1000, seeds = 3;
  bench::Options options;
};

RunConfig config_of(const Study& study, const std::string& pattern) {
  RunConfig config;
  config.parametrisation = "standard";
  config.train.lr = 0.005;
  config.model.width = 32;
  config.model.depth = 2;
  config.model.ffn_ratio = 2.0;
  config.model.position = "none";
  config.model.context = study.length + 1;
  config.model.pattern = pattern;
  config.train.batch_tokens = 64 * config.model.context;
  study.options.apply(config);
  config.train.tokens = study.steps * config.train.batch_tokens;
  return config;
}

// The share of right answers on strings of `length` bits that were never trained on.
double answered(Population& population, int64_t member, int64_t length) {
  constexpr int64_t count = 512;
  const auto [tokens, likeliest] =
      bench::ask(population, member, Parity(length, length), count, length + 1);
  int64_t right = 0;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t* token = tokens.const_data_ptr<int64_t>() + i * (length + 1);
    const int64_t ones = std::count(token, token + length, int64_t{1});
    right += likeliest.const_data_ptr<int64_t>()[i * (length + 1) + length] == ones % 2;
  }
  return static_cast<double>(right) / static_cast<double>(count);
}

void print_share(const std::vector<double>& share) {
  const auto [mean, low, high] = bench::spread_of(share);
  std::printf(" %.3f, %.3f to %.3f |", mean, low, high);
}

void run(const Study& study, const std::string& pattern, const Machine& machine) {
  const bench::Stopwatch watch;
  const auto population = bench::train_seeds(config_of(study, pattern), study.seeds,
                                             std::make_shared<Parity>(2, study.length), machine);
  std::vector<double> near, far;
  for (int64_t m = 0; m < study.seeds; ++m) {
    near.push_back(answered(*population, m, study.length));
    far.push_back(answered(*population, m, 2 * study.length));
  }
  std::printf("| %s | %lld |", pattern.c_str(),
              static_cast<long long>(count(population->decoder.layout.tensors).N));
  print_share(near);
  print_share(far);
  std::printf(" %.0f |\n", watch.seconds());
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  Study study;
  study.options = bench::Options::read(argc, argv, study.length, study.steps, study.seeds);
  std::vector<std::string> patterns = study.options.take_words();
  if (patterns.empty()) patterns = {"attention", "mlstm", "slstm", "mlstm, slstm"};
  const Machine machine = make_machine(config_of(study, patterns[0]).device, 2);
  std::printf("| mixers | N | at %lld bits | at %lld bits | seconds |\n|---|---|---|---|---|\n",
              static_cast<long long>(study.length), static_cast<long long>(2 * study.length));
  for (const std::string& pattern : patterns) run(study, pattern, machine);
}
