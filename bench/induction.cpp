// Induction (Gloeckle et al. 2024, arXiv 2404.19737, section 4.1): names of two tokens, paired anew
// in every sequence, among words that follow from one another. After a name's first token only its
// earlier occurrence in the sequence tells the second. The paper: training to predict further ahead
// makes small models learn this earlier, and the gain goes with size.
//
//   induction [STEPS [SEEDS [WIDTH [NAMES [HEADSxBLOCKS ...]]]]] [KEY=VALUE ...]
//
// NAMES is the cast of a sequence (3; with 1 the first token is known too, once it has stood
// there). HEADSxBLOCKS choose the rows; default 1x4 1x3 2x4 3x5. With n heads the way to the next
// token has BLOCKS - n + 1 blocks, and all blocks count in N.
//
// Prints a Markdown table: heads, blocks, parameters, training FLOPs, loss of the next token, and
// the share of second tokens that are found (mean, lowest and highest of the seeds).
#include <ATen/core/Tensor.h>

#include <cstdio>

#include "core/random.h"
#include "data/made_tokens.h"
#include "scaling/count.h"
#include "seeds.h"

using namespace rung;

namespace {

constexpr int64_t words = 24, firsts = 16, seconds = 16;
constexpr double name_share = 0.15;

uint64_t below(int64_t n, Random& random) {
  return random.below(static_cast<uint64_t>(n));
}

// Words 0 .. words - 1, then first and second tokens of names. Each of a sequence's names has a
// first token of its own and any second one.
class Stories : public MadeTokens {
 public:
  explicit Stories(int64_t names) : names_(static_cast<size_t>(names)) {}
  int64_t vocabulary() const override { return words + firsts + seconds; }
  int64_t sequences(int64_t) const override { return int64_t{1} << 40; }
  void read(int64_t index, std::span<int32_t> out) const override {
    Random random(23, "stories", static_cast<uint64_t>(index));
    std::vector<std::pair<int32_t, int32_t>> cast(names_);
    for (size_t i = 0; i < cast.size(); ++i) {
      do cast[i].first = static_cast<int32_t>(words) + static_cast<int32_t>(below(firsts, random));
      while (std::any_of(cast.begin(), cast.begin() + static_cast<std::ptrdiff_t>(i),
                         [&](const auto& other) { return other.first == cast[i].first; }));
      cast[i].second =
          static_cast<int32_t>(words + firsts) + static_cast<int32_t>(below(seconds, random));
    }
    int64_t word = static_cast<int64_t>(below(words, random));
    for (size_t at = 0; at < out.size();) {
      if (random.uniform() < name_share) {
        const auto& name = cast[below(static_cast<int64_t>(names_), random)];
        out[at++] = name.first;
        if (at < out.size()) out[at++] = name.second;
      } else {
        word = random.uniform() < 0.2 ? static_cast<int64_t>(below(words, random))
                                      : (7 * word + 3) % words;
        out[at++] = static_cast<int32_t>(word);
      }
    }
  }

 private:
  size_t names_;
};

struct Study {
  int64_t steps = 600, seeds = 3, width = 32, names = 3;
  bench::Options options;
};

RunConfig config_of(const Study& study, int64_t heads, int64_t depth) {
  RunConfig config;
  config.parametrisation = "standard";
  config.train.lr = 0.003;
  config.train.epsilon = 1e-8;
  config.model.width = study.width;
  config.model.depth = depth;
  config.model.mtp_heads = heads;
  config.model.context = 64;
  config.train.batch_tokens = 32 * config.model.context;
  config.train.tokens = study.steps * config.train.batch_tokens;
  study.options.apply(config);
  return config;
}

// The share of second tokens that are the likeliest after a first token which stood before.
double found(Population& population, int64_t member, const Stories& source) {
  return bench::share_right(bench::ask(population, member, source, 256),
                            [](const int64_t* token, int64_t t) {
                              const bool first = token[t] >= words && token[t] < words + firsts;
                              return first && std::find(token, token + t, token[t]) != token + t;
                            });
}

void run(const Study& study, int64_t heads, int64_t depth, const Machine& machine) {
  const bench::Stopwatch watch;
  const auto source = std::make_shared<Stories>(study.names);
  const auto population =
      bench::train_seeds(config_of(study, heads, depth), study.seeds, source, machine);
  std::vector<double> share, loss;
  HeldOut held{.context = population->decoder.model.context};
  for (int64_t i = 0; i < 128; ++i) {
    std::vector<int32_t> window(static_cast<size_t>(held.context + 1));
    source->read((int64_t{1} << 42) + i, window);
    held.tokens.insert(held.tokens.end(), window.begin(), window.end());
    held.document.insert(held.document.end(), static_cast<size_t>(held.context),
                         static_cast<int32_t>(i));
  }
  for (const Evaluation& e : population->evaluate(held)) loss.push_back(e.loss);
  for (int64_t m = 0; m < study.seeds; ++m) share.push_back(found(*population, m, *source));
  const auto [mean, low, high] = bench::spread_of(share);
  const Decoder& d = population->decoder;
  const double flops = 3.0 * forward_flops(d, d.model.context) * static_cast<double>(study.steps) *
                       static_cast<double>(population->batch_sequences);
  std::printf("| %lld | %lld | %lld | %.3g | %.4f | %.3f | %.3f to %.3f | %.0f |\n",
              static_cast<long long>(heads), static_cast<long long>(depth),
              static_cast<long long>(count(d.layout.tensors).N), flops, bench::spread_of(loss).mean,
              mean, low, high, watch.seconds());
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  Study study;
  study.options =
      bench::Options::read(argc, argv, study.steps, study.seeds, study.width, study.names);
  std::vector<std::string> rows = study.options.take_words();
  if (rows.empty()) rows = {"1x4", "1x3", "2x4", "3x5"};
  const Machine machine = make_machine(config_of(study, 1, 1).device, 2);
  std::printf(
      "| heads | blocks | N | FLOPs | loss | found | seeds | seconds |\n"
      "|---|---|---|---|---|---|---|---|\n");
  for (const std::string& row : rows)
    run(study, std::atoll(row.c_str()), std::atoll(row.c_str() + row.find('x') + 1), machine);
}
