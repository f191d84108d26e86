// Where theory says that two parametrisations are one training run in another form, the losses of
// 20 steps in fp64 are the same numbers; where a shift is done wrong, they are not. Bytes of the
// default text.
#include <ATen/core/Tensor.h>

#include <filesystem>

#include "core/random.h"
#include "data/read_text.h"
#include "optim/optimizer.h"
#include "support/models.h"
#include "support/source_dir.h"

using namespace rung;
using namespace rung::test;

namespace {

constexpr int64_t steps = 20, sequences = 4, bytes = 256;

// Enough of the text for all steps.
const std::string& text() {
  static const std::string all = [] {
    struct Enough {};
    std::string read;
    try {
      read_documents(std::filesystem::path(source_dir()) / "data" / "docs.txt.xz",
                     [&](std::string&& document) {
                       read += document;
                       if (read.size() > 200000) throw Enough{};
                     });
    } catch (const Enough&) {
    }
    return read;
  }();
  return all;
}

RunConfig small(const char* rule, const char* optimizer, const char* alignment = "") {
  RunConfig config;
  config.parametrisation = rule;
  config.alignment = alignment;
  config.precision = "fp64";
  config.base_width = 8;
  config.base_depth = 2;
  config.model.width = 24;  // m = 3: no power of two hides a rounding
  config.model.head_dim = 8;
  config.model.depth = 2;
  config.model.context = 32;
  config.model.ffn_ratio = 2.5;
  config.model.norm_gain = true;
  config.train.optimizer = optimizer;
  config.train.batch_tokens = sequences * 32;
  config.train.tokens = steps * sequences * 32;
  config.train.lr = 0.01;
  // Gradients are at scale 1 in umup, and small elsewhere.
  if (std::string(optimizer) == "sgd") config.train.lr = rule == std::string("umup") ? 1e-3 : 0.05;
  config.train.beta2 = 0.95;
  config.train.epsilon = 1e-8;
  config.train.weight_decay = 1e-3;
  return config;
}

Batch batch_at(int64_t step, int64_t context) {
  Batch batch{at::empty({1, sequences, context}, at::kLong),
              at::empty({1, sequences, context}, at::kLong)};
  for (int64_t i = 0; i < sequences; ++i)
    for (int64_t t = 0; t < context; ++t) {
      const auto at = static_cast<size_t>((step * sequences + i) * 1000 + t);
      const auto token = [&](size_t k) {
        return static_cast<int64_t>(static_cast<uint8_t>(text()[k]));
      };
      batch.tokens.mutable_data_ptr<int64_t>()[i * context + t] = token(at);
      batch.targets.mutable_data_ptr<int64_t>()[i * context + t] = token(at + 1);
    }
  return batch;
}

void fill(Tensor& hyper, const RunConfig& config, int64_t step) {
  const TrainConfig& t = config.train;
  const double warm = std::min(1.0, static_cast<double>(step + 1) / 4.0);
  const double k = static_cast<double>(step + 1);
  const double row[] = {t.lr * warm,
                        peak_decay(t) * warm,
                        t.beta1,
                        t.beta2,
                        t.epsilon,
                        1.0 - std::pow(t.beta1, k),
                        1.0 - std::pow(t.beta2, k),
                        1.0};
  for (int h = 0; h < hyper_count; ++h)
    hyper.mutable_data_ptr<float>()[h] = static_cast<float>(row[h]);
}

using Change = std::function<void(Layout&)>;

// The mean loss of every step.
std::vector<double> losses(const RunConfig& config, const Change& change = {}) {
  Model model = make_model(config, bytes, at::kDouble);
  Layout& layout = model.decoder.layout;
  if (change) change(layout);
  initialise(layout, model.weights.select(0, 0), config.seed);
  const Optimizer& optimizer = find_optimizer(config.train.optimizer);
  std::map<std::string, Tensor> state;
  for (const StateSpec& s : optimizer.state(layout))
    state[s.name] = at::zeros({1, s.size}, model.weights.options());
  std::vector<double> curve;
  Tensor hyper = at::empty({1, hyper_count}, at::kFloat);
  for (int64_t step = 0; step < steps; ++step) {
    const Tensor loss = loss_and_gradient(model, batch_at(step, config.model.context));
    curve.push_back(loss.mean().item<double>());
    fill(hyper, config, step);
    const at::NoGradGuard off;
    optimizer.step({layout, model.weights, model.gradient, state, hyper});
  }
  return curve;
}

double largest_difference(const std::vector<double>& a, const std::vector<double>& b) {
  double worst = 0.0;
  for (size_t i = 0; i < a.size(); ++i)
    worst = std::max(worst, std::isfinite(a[i]) ? std::abs(a[i] - b[i]) / std::abs(b[i]) : 1e9);
  return worst;
}

void check_equal(const std::vector<double>& a, const std::vector<double>& b) {
  CHECK(largest_difference(a, b) < 1e-10);
  CHECK(b.back() < b.front() - 0.05);  // it trains: equality of a standstill shows nothing
}

void check_apart(const std::vector<double>& a, const std::vector<double>& b) {
  CHECK(largest_difference(a, b) > 1e-5);
}

Update update(const char* optimizer) {
  return update_of(optimizer);
}

// A random shift of every tensor that can be shifted; `shift` says how.
Change shift_all(const std::function<Factors(const Factors&, double)>& shift) {
  return [shift](Layout& layout) {
    Random random(5, "theta");
    for (size_t i = 0; i < layout.tensors.size(); ++i) {
      const Role role = layout.tensors[i].role;
      if (role == Role::gain || role == Role::bias || role == Role::tied) continue;
      layout.factors[i] = shift(layout.factors[i], std::exp(4.0 * random.uniform() - 2.0));
    }
  };
}

constexpr const char* shiftable[] = {"adamw", "adam-atan2", "sgd", "adam-scaled", "adafactor"};

}  // namespace

TEST_SUITE_BEGIN("slow");

TEST_CASE("muP's three tables and mean field train alike, under every optimizer and alignment") {
  for (const char* optimizer : shiftable)
    for (const char* alignment : {"full", "none"}) {
      CAPTURE(optimizer);
      CAPTURE(alignment);
      const std::vector<double> mup = losses(small("mup", optimizer, alignment));
      for (const char* other : {"mup-table3", "mup-table9", "mfp"}) {
        CAPTURE(other);
        check_equal(losses(small(other, optimizer, alignment)), mup);
      }
    }
}

TEST_CASE("the standard rule and NTK train alike with per-role rates, and unlike with one rate") {
  for (const char* optimizer : shiftable) {
    CAPTURE(optimizer);
    for (const char* alignment : {"full", "none"})
      check_equal(losses(small("ntk", optimizer, alignment)),
                  losses(small("standard", optimizer, alignment)));
    if (update(optimizer) != Update::parameter_scaled)  // there one rate is one in both forms
      check_apart(losses(small("ntk", optimizer, "global")),
                  losses(small("standard", optimizer, "global")));
  }
}

TEST_CASE("every rule may be shifted by any theta, tensor by tensor") {
  for (const char* optimizer : shiftable)
    for (const char* rule : {"standard", "mup", "umup", "spectral"}) {
      CAPTURE(optimizer);
      CAPTURE(rule);
      const RunConfig config = small(rule, optimizer);
      const auto right = [&](const Factors& f, double t) {
        return shifted(f, t, update(optimizer));
      };
      check_equal(losses(config, shift_all(right)), losses(config));
    }
}

TEST_CASE("depth rules are muP at the base depth and part from it and each other below") {
  const std::vector<double> mup = losses(small("mup", "adamw"));
  for (const char* rule : {"depth-mup", "completep", "completedp", "supar"})
    check_equal(losses(small(rule, "adamw")), mup);
  const auto deep = [](const char* rule) {
    RunConfig config = small(rule, "adamw");
    config.base_depth = 1;
    return losses(config);
  };
  check_equal(deep("completedp"), deep("completep"));  // table 3 against table 8
  check_apart(deep("depth-mup"), deep("completep"));
  check_apart(deep("mup"), deep("completep"));
}

TEST_CASE("split gradient factors of unit scaling do not show without epsilon") {
  const RunConfig config = small("umup", "adam-atan2");
  const Change plain = [](Layout& layout) {
    for (Factors& f : layout.factors) f.A_input = f.A_weight = f.A;
  };
  check_equal(losses(config, plain), losses(config));
  RunConfig gradient = config;
  gradient.train.optimizer = "sgd";
  check_apart(losses(gradient, plain), losses(gradient));
}

TEST_SUITE_END();

TEST_CASE("wrong shifts train differently") {
  const RunConfig adam = small("mup", "adamw"), sgd = small("mup", "sgd");
  const std::vector<double> want = losses(adam), want_sgd = losses(sgd);
  // Adam's shift under SGD, whose LR goes with the square.
  check_apart(losses(sgd, shift_all([](const Factors& f, double t) { return shifted(f, t); })),
              want_sgd);
  // The initialisation left behind.
  check_apart(losses(adam, shift_all([](const Factors& f, double t) {
                       Factors g = shifted(f, t);
                       g.B = f.B;
                       return g;
                     })),
              want);
  // The LR left behind.
  check_apart(losses(adam, shift_all([](const Factors& f, double t) {
                       Factors g = shifted(f, t);
                       g.C = f.C;
                       return g;
                     })),
              want);
  // Adam's shift under parameter scaling, which follows the weight by itself.
  for (const char* optimizer : {"adam-scaled", "adafactor"}) {
    const RunConfig scaled = small("mup", optimizer);
    check_apart(losses(scaled, shift_all([](const Factors& f, double t) { return shifted(f, t); })),
                losses(scaled));
  }
  // An epsilon that is not small and does not follow the gradient.
  RunConfig coarse = adam;
  coarse.train.epsilon = 1e-3;
  const auto forgotten = [](const Factors& f, double t) {
    Factors g = shifted(f, t);
    g.epsilon = f.epsilon;
    return g;
  };
  check_apart(losses(coarse, shift_all(forgotten)), losses(coarse));
  check_equal(losses(coarse, shift_all([](const Factors& f, double t) { return shifted(f, t); })),
              losses(coarse));
}

TEST_CASE(
    "coupled decay follows the LR's form, so that shifted runs part; independent decay does not") {
  const auto run = [](const char* rule, const char* decay) {
    RunConfig config = small(rule, "adamw");
    config.train.decay_rule = decay;
    config.train.weight_decay = decay == std::string("coupled") ? 1.0 : 0.01;
    return losses(config);
  };
  check_equal(run("mup-table9", "independent"), run("mup", "independent"));
  check_apart(run("mup-table9", "coupled"), run("mup", "coupled"));
  check_equal(run("mup-table9", "width"), run("mup", "width"));
  check_equal(run("mup-table9", "timescale"), run("mup", "timescale"));
}
