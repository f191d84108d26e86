// Dense ffns, mixtures of experts and PEER at equal training FLOPs, and PEER's loss against its
// number of experts (He 2024, arXiv 2407.04153, figures 1 and 2): the middle one of three ffns is
// replaced, as there.
//
//   experts [TOKENS [SEEDS [RATES]]] [KEY=VALUE | ROW ...]
//
// TOKENS are the dense run's; every other run trains on as many as cost the same. KEY=VALUE are
// settings of all runs, such as train.lr=0.25, device=cuda or data.path=synthetic (the default is
// the shipped text). ROW, such as peer-2^8, names rows to run, else all are. Every row is the best
// of RATES learning rates: 3, train.lr with half and twice of it, or 1. Prints a Markdown table:
// ffn, parameters a token multiplies by and all, tokens, best rate, held-out loss (mean, lowest and
// highest of the seeds), share of the experts used and their unevenness in nats.
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "scaling/count.h"
#include "seeds.h"

using namespace rung;

namespace {

struct Case {
  const char* name;
  void (*change)(ModelConfig&);
};

template <int64_t experts>
void peer(ModelConfig& m) {
  m.ffn_pattern = "swiglu, peer, swiglu";
  m.peer_experts = experts;
  m.peer_heads = 4, m.peer_top_k = 16, m.peer_key = 16;
}

// Experts of half the size, two a token; experts of the dense size, one a token; 64 neurons a
// token.
const Case cases[] = {{"dense", [](ModelConfig&) {}},
                      {"moe-2-of-16",
                       [](ModelConfig& m) {
                         m.ffn_pattern = "swiglu, moe, swiglu";
                         m.moe_experts = 16, m.moe_ratio = m.ffn_ratio / 2.0;
                       }},
                      {"switch-1-of-8",
                       [](ModelConfig& m) {
                         m.ffn_pattern = "swiglu, moe, swiglu";
                         m.moe_top_k = 1, m.moe_gates = "all";
                       }},
                      {"peer-2^8", peer<1 << 8>},
                      {"peer-2^10", peer<1 << 10>},
                      {"peer-2^12", peer<1 << 12>},
                      {"peer-2^14", peer<1 << 14>}};

RunConfig config_of(const Case& c, const bench::Options& options, int64_t vocabulary,
                    int64_t tokens) {
  RunConfig config;
  config.model.width = 32;
  config.model.depth = 3;
  config.model.context = 64;
  config.train.batch_tokens = 1024;
  config.train.eval_tokens = 65536;
  config.train.lr = 0.5;
  options.apply(config);
  const double dense = forward_flops(make_decoder(config, vocabulary), config.model.context);
  c.change(config.model);
  const double own = forward_flops(make_decoder(config, vocabulary), config.model.context);
  const double batches =
      static_cast<double>(tokens) * dense / own / static_cast<double>(config.train.batch_tokens);
  config.train.tokens = std::llround(batches) * config.train.batch_tokens;
  return config;
}

struct Outcome {
  bench::Spread loss{NAN, NAN, NAN};
  double lr = 0.0;
  double used = NAN, unevenness = NAN;
};

Outcome train(const RunConfig& config, int64_t seeds, std::shared_ptr<const TokenSource> source,
              const Machine& machine) {
  const auto population = bench::train_seeds(config, seeds, source, machine);
  const HeldOut held = source->held_out(config.model.context, config.train.eval_tokens);
  Outcome outcome{.lr = config.train.lr};
  std::vector<double> loss, used, uneven;
  for (const Evaluation& e : population->evaluate(held)) {
    loss.push_back(e.loss);
    for (const Statistic& s : e.statistics) {
      if (s.name == "experts_used") used.push_back(s.value);
      if (s.name == "experts_unevenness") uneven.push_back(s.value);
    }
  }
  outcome.loss = bench::spread_of(loss);
  if (!used.empty()) {
    outcome.used = bench::spread_of(used).mean;
    outcome.unevenness = bench::spread_of(uneven).mean;
  }
  return outcome;
}

struct Study {
  int64_t tokens = 400'000, seeds = 2, rates = 3;
  bench::Options options;
};

void run(const Case& c, const Study& study, std::shared_ptr<const TokenSource> source,
         const Machine& machine) {
  const bench::Stopwatch watch;
  const RunConfig config = config_of(c, study.options, source->vocabulary(), study.tokens);
  Outcome best;
  for (const double factor : study.rates == 1 ? std::vector{1.0} : std::vector{0.5, 1.0, 2.0}) {
    RunConfig tried = config;
    tried.train.lr *= factor;
    const Outcome outcome = train(tried, study.seeds, source, machine);
    if (!(outcome.loss.mean >= best.loss.mean)) best = outcome;
  }
  const Counts counts = count(make_decoder(config, source->vocabulary()).layout.tensors);
  std::printf("| %s | %lld | %lld | %lld | %g | %.4f, %.4f to %.4f | %.4f | %.3f | %.0f |\n",
              c.name, static_cast<long long>(counts.N), static_cast<long long>(counts.N_total),
              static_cast<long long>(config.train.tokens), best.lr, best.loss.mean, best.loss.low,
              best.loss.high, best.used, best.unevenness, watch.seconds());
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  Study study;
  study.options = bench::Options::read(argc, argv, study.tokens, study.seeds, study.rates);
  const std::vector<std::string> names = study.options.take_words();
  RunConfig data;
  study.options.apply(data);
  const auto source = bench::open_text(data);
  const Machine machine = make_machine(data.device, 2);
  std::printf(
      "| ffn | N | N total | tokens | lr | loss | used | unevenness | seconds |\n"
      "|---|---|---|---|---|---|---|---|---|\n");
  for (const Case& c : cases)
    if (names.empty() || std::find(names.begin(), names.end(), c.name) != names.end())
      run(c, study, source, machine);
}
