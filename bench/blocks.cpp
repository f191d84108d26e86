// Simplified blocks (He & Hofmann 2024, arXiv 2311.01906) beside the usual one, and models doped
// with frozen layers or built on fast transforms beside those of as many trained weights (Chatelain
// et al. 2021, arXiv 2109.11928), at equal tokens.
//
//   blocks [TOKENS [SEEDS]] [KEY=VALUE | ROW ...]
//
// KEY=VALUE are settings of all runs; ROW, such as sas-p, names rows to run, else all are. The rate
// is the best of four, tried with one seed; then all seeds train. Prints a Markdown table: block,
// weights a token multiplies by and those of them that are trained, best rate, held-out loss (mean,
// lowest and highest of the seeds), and tokens in a second of processor time, on a GPU
// (device=cuda) of time.
#include <cstdio>
#include <ctime>

#include "scaling/count.h"
#include "seeds.h"

using namespace rung;

namespace {

struct Case {
  const char* name;
  void (*change)(ModelConfig&);
};

void sas(ModelConfig& m) {
  m.mixer = "sas";
  m.ffn_gain = 0.1;
}
void frozen(ModelConfig& m, int64_t depth, const char* layers) {
  m.depth = depth;
  m.frozen = layers;
}

const Case cases[] = {
    {"pre-norm", [](ModelConfig&) {}},
    {"parallel", [](ModelConfig& m) { m.parallel = true; }},
    {"sas", sas},
    {"sas, first values learned",
     [](ModelConfig& m) { sas(m), m.pattern = fmt::format("sas-v, sas x{}", m.depth - 1); }},
    {"sas, values and output learned", [](ModelConfig& m) { sas(m), m.mixer = "sas-vp"; }},
    {"sas-p", [](ModelConfig& m) { sas(m), m.parallel = true; }},
    {"sas-p without norms",
     [](ModelConfig& m) { sas(m), m.parallel = true, m.norm_place = "none"; }},
    {"depth 1", [](ModelConfig& m) { m.depth = 1; }},
    {"depth 2", [](ModelConfig& m) { m.depth = 2; }},
    {"depth 3", [](ModelConfig& m) { m.depth = 3; }},
    {"depth 2 of 4", [](ModelConfig& m) { frozen(m, 4, "none, block"); }},
    {"depth 2 of 6", [](ModelConfig& m) { frozen(m, 6, "none, block x2"); }},
    {"depth 4, ffns frozen", [](ModelConfig& m) { frozen(m, 4, "ffn"); }},
    {"depth 4, mixers frozen", [](ModelConfig& m) { frozen(m, 4, "mixer"); }},
    {"depth 4, no ffns", [](ModelConfig& m) { m.ffn = "none"; }},
    {"fastfood", [](ModelConfig& m) { m.ffn = "fastfood"; }},
    {"fastfood of twice the units", [](ModelConfig& m) { m.ffn = "fastfood", m.ffn_ratio *= 2.0; }},
};

RunConfig config_of(const Case& c, const bench::Options& options, int64_t tokens) {
  RunConfig config;
  config.parametrisation = "standard";
  config.model.width = 64;
  config.model.depth = 4;
  config.model.context = 64;
  config.model.norm_gain = true;
  config.model.ffn = "gelu";
  config.model.ffn_ratio = 4.0;
  config.train.batch_tokens = 1024;
  config.train.eval_tokens = 65536;
  config.train.lr = 0.004;
  config.train.epsilon = 1e-8;
  config.train.tokens = tokens / 1024 * 1024;
  options.apply(config);
  c.change(config.model);
  return config;
}

struct Outcome {
  bench::Spread loss{NAN, NAN, NAN};
  double lr = 0.0, rate = 0.0;
};

Outcome train(const RunConfig& config, int64_t seeds, std::shared_ptr<const TokenSource> source,
              const Machine& machine) {
  const bench::Stopwatch watch;
  const std::clock_t start = std::clock();
  const auto population = bench::train_seeds(config, seeds, source, machine);
  const double seconds = machine.device == "cuda"
                             ? watch.seconds()
                             : static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
  const HeldOut held = source->held_out(config.model.context, config.train.eval_tokens);
  std::vector<double> loss;
  for (const Evaluation& e : population->evaluate(held)) loss.push_back(e.loss);
  return {bench::spread_of(loss), config.train.lr,
          static_cast<double>(config.train.tokens * seeds) / seconds};
}

void run(const Case& c, const bench::Options& options, int64_t tokens, int64_t seeds,
         std::shared_ptr<const TokenSource> source, const Machine& machine) {
  RunConfig config = config_of(c, options, tokens);
  Outcome best;
  const double base = config.train.lr;
  for (const double factor : {0.5, 1.0, 2.0, 4.0}) {
    config.train.lr = base * factor;
    const Outcome outcome = train(config, 1, source, machine);
    if (!(outcome.loss.mean >= best.loss.mean)) best = outcome;
  }
  config.train.lr = best.lr;
  best = train(config, seeds, source, machine);
  const Counts counts = count(make_decoder(config, source->vocabulary()).layout.tensors);
  std::printf("| %s | %lld | %lld | %g | %.4f, %.4f to %.4f | %.0f |\n", c.name,
              static_cast<long long>(counts.N), static_cast<long long>(counts.N_active), best.lr,
              best.loss.mean, best.loss.low, best.loss.high, best.rate);
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  int64_t tokens = 200'000, seeds = 3;
  bench::Options options = bench::Options::read(argc, argv, tokens, seeds);
  const std::vector<std::string> names = options.take_words();
  RunConfig data;
  options.apply(data);
  const auto source = bench::open_text(data);
  const Machine machine = make_machine(data.device, 2);
  std::printf(
      "| block | N | trained | lr | loss | tokens/s |\n"
      "|---|---|---|---|---|---|\n");
  for (const Case& c : cases)
    if (names.empty() || std::find(names.begin(), names.end(), c.name) != names.end())
      run(c, options, tokens, seeds, source, machine);
}
