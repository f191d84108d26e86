#include "train/population.h"

#include <limits>

#include "core/error.h"
#include "support/populations.h"

using namespace rung;
using namespace rung::test;

namespace {

// Five members that differ in what members may differ in.
std::vector<RunConfig> five() {
  std::vector<RunConfig> configs(5, tiny_config());
  for (size_t i = 0; i < configs.size(); ++i) {
    configs[i].train.lr = 0.002 * std::pow(2.0, static_cast<double>(i));
    configs[i].seed = 3 + i / 2;
    configs[i].train.clip = i == 1 ? 0.5 : 0.0;
    configs[i].train.weight_decay = i == 2 ? 0.01 : 0.0;
    configs[i].multipliers.alpha_res = i == 3 ? 0.5 : 1.0;
    configs[i].train.beta2 = i == 4 ? 0.9 : 0.95;
  }
  return configs;
}

// Weights, optimizer state, loss and gradient norm of one member against one of another population.
bool same_member(const Population& a, int64_t i, const Population& b, int64_t j) {
  bool same = same_bits(a.weights[i], b.weights[j]);
  for (const auto& [name, state] : a.optimizer_state)
    same = same && same_bits(state[i], b.optimizer_state.at(name)[j]);
  const MemberState &x = a.states[static_cast<size_t>(i)], &y = b.states[static_cast<size_t>(j)];
  return same && x.loss == y.loss && x.gradient_norm == y.gradient_norm;
}

}  // namespace

TEST_CASE("a member trained alone is the same bits as in a population of five, in any order") {
  const std::vector<RunConfig> configs = five();
  Population together = make_population(configs);
  advance(together, 12);
  const std::vector<size_t> order{3, 0, 4, 2, 1};
  std::vector<RunConfig> shuffled;
  for (const size_t i : order) shuffled.push_back(configs[i]);
  Population mixed = make_population(shuffled);
  advance(mixed, 12);
  const HeldOut held = ChainSource().held_out(18, 720);
  const auto losses = together.evaluate(held);
  for (size_t i = 0; i < configs.size(); ++i) {
    CAPTURE(i);
    Population alone = make_population({configs[i]});
    advance(alone, 12);
    CHECK(same_member(alone, 0, together, static_cast<int64_t>(i)));
    CHECK(alone.evaluate(held)[0].loss == losses[i].loss);
    const auto place = std::find(order.begin(), order.end(), i) - order.begin();
    CHECK(same_member(mixed, place, together, static_cast<int64_t>(i)));
  }
  CHECK_FALSE(same_bits(together.weights[0], together.weights[1]));
}

TEST_CASE("one thread, two threads and a second run give the same bits") {
  Population one = make_population(five(), 1), two = make_population(five(), 2),
             again = make_population(five(), 2);
  for (Population* p : {&one, &two, &again}) advance(*p, 12);
  for (int64_t i = 0; i < 5; ++i) {
    CHECK(same_member(one, i, two, i));
    CHECK(same_member(two, i, again, i));
  }
}

TEST_CASE("batches of several shards and lanes keep their bits over thread counts") {
  RunConfig config = tiny_config();
  config.model.width = 8;
  config.train.batch_tokens = 18 * 57 * 5 + 18 * 11;  // five whole shards and a ragged one
  config.train.tokens = config.train.batch_tokens * 4;
  Population one = make_population({config}, 1), two = make_population({config}, 2),
             three = make_population({config}, 3);
  for (Population* p : {&one, &two, &three}) advance(*p, 3);
  CHECK(same_member(one, 0, two, 0));
  CHECK(same_member(one, 0, three, 0));
}

TEST_CASE("a diverging member is frozen and its neighbours keep their bits") {
  Population calm = make_population(five());
  Population storm = make_population(five());
  storm.states[1].config.train.lr = 1e30;
  advance(calm, 3);
  advance(storm, 3);
  storm.weights[3].narrow(0, 0, 1).fill_(std::numeric_limits<float>::quiet_NaN());
  storm.weights[3].mul_(std::numeric_limits<float>::quiet_NaN());
  const Tensor poisoned = storm.optimizer_state.at("exp_avg")[3].clone();
  advance(calm, 9);
  advance(storm, 9);
  for (const int64_t i : {0, 2, 4}) {
    CHECK(same_member(calm, i, storm, i));
    CHECK(storm.states[static_cast<size_t>(i)].status == MemberStatus::running);
  }
  for (const size_t i : {1, 3}) CHECK(storm.states[i].status == MemberStatus::diverged);
  CHECK(same_bits(poisoned, storm.optimizer_state.at("exp_avg")[3]));
  CHECK_FALSE(storm.all_diverged());
  const Tensor frozen = storm.weights[1].clone();
  storm.advance();
  CHECK(frozen.equal(storm.weights[1]));
}

TEST_CASE("a NaN in any tensor is noticed") {
  Population clean = make_population({tiny_config()});
  for (size_t t = 0; t < clean.decoder.layout.tensors.size(); ++t) {
    CAPTURE(clean.decoder.layout.tensors[t].name);
    Population p = make_population({tiny_config()});
    view(p.decoder.layout, p.weights, t).fill_(std::numeric_limits<float>::quiet_NaN());
    p.advance();
    CHECK(p.all_diverged());
  }
}

TEST_CASE("every rule learns the chain") {
  for (const char* rule : {"standard", "mup", "umup", "completep"}) {
    CAPTURE(rule);
    RunConfig config = tiny_config();
    config.parametrisation = rule;
    config.train.tokens = 72 * 150;
    config.train.lr = std::string(rule) == "umup" ? 0.5 : 0.02;
    if (std::string(rule) == "umup") config.train.epsilon = 1e-12;
    const ChainSource source(13, 100000);
    auto shared = std::make_shared<ChainSource>(13, 100000);
    Population p({config}, shared, make_machine("cpu", 2));
    const HeldOut held = source.held_out(18, 1800);
    const Evaluation before = p.evaluate(held)[0];
    advance(p, 150);
    const Evaluation after = p.evaluate(held)[0];
    // Uniform: ln 13 = 2.56. The chain's entropy is 0.09 ln 13 + ..., about 0.55.
    CHECK(before.loss > 2.3);
    CHECK(after.loss < 1.2);
    CHECK(after.loss > 0.4);
    CHECK(after.standard_error > 0.0);
    CHECK(after.standard_error < 0.2);
  }
}

TEST_CASE("evaluation sums by document and clusters its error") {
  Population p = make_population({tiny_config()});
  const HeldOut held = ChainSource().held_out(18, 18 * 7);
  const Evaluation e = p.evaluate(held)[0];
  double sum = 0.0, tokens = 0.0, squares = 0.0;
  for (size_t d = 0; d < e.document_loss.size(); ++d) {
    sum += e.document_loss[d] * e.document_tokens[d];
    tokens += e.document_tokens[d];
  }
  CHECK(tokens == 18.0 * 7.0);
  CHECK(e.document_loss.size() == 4);
  CHECK(e.loss == doctest::Approx(sum / tokens).epsilon(1e-12));
  for (size_t d = 0; d < 4; ++d)
    squares += std::pow((e.document_loss[d] - e.loss) * e.document_tokens[d], 2.0);
  CHECK(e.standard_error == doctest::Approx(std::sqrt(squares * 4.0 / 3.0) / tokens));
  CHECK(error_of([&] { p.evaluate({.context = 18}); }).find("[evaluate]") == 0);
  // Another length than the trained one: positions go on.
  CHECK(std::isfinite(p.evaluate(ChainSource().held_out(31, 310))[0].loss));
  CHECK(std::isfinite(p.evaluate(ChainSource().held_out(5, 50))[0].loss));
}

TEST_CASE("members read their own order, and the batch is cut from it") {
  RunConfig a = tiny_config(), b = tiny_config();
  b.seed = 2;
  Population p = make_population({a, b});
  p.advance();
  CHECK(p.states[0].loss != p.states[1].loss);
  CHECK(p.step == 1);
  CHECK(p.batch_sequences == 4);
}

TEST_CASE("clip scales the whole gradient of a member") {
  RunConfig config = tiny_config();
  config.train.epsilon = 1.0;  // so that Adam does not undo the scale
  config.train.warmup = 0.0;
  RunConfig clipped = config;
  Population free = make_population({config});
  const Tensor start = free.weights.clone();
  free.advance();
  const double norm = free.states[0].gradient_norm;
  clipped.train.clip = norm / 1000.0;
  Population held = make_population({clipped});
  held.advance();
  CHECK(held.states[0].gradient_norm == norm);
  const double moved = (free.weights - start).norm().item<double>();
  const double little = (held.weights - start).norm().item<double>();
  CHECK(little < moved / 200.0);
  CHECK(little > 0.0);
}

TEST_CASE("populations that do not fit together are refused") {
  const auto message = [](auto change) {
    std::vector<RunConfig> configs(2, tiny_config());
    change(configs[1]);
    return error_of([&] { make_population(configs); });
  };
  CHECK(message([](RunConfig& c) { c.model.width = 48; }).find("[population]") == 0);
  CHECK(message([](RunConfig& c) { c.base_width = 48; }).find("[population]") == 0);
  CHECK(message([](RunConfig& c) { c.train.cooldown = 0.5; }).find("[population]") == 0);
  RunConfig odd = tiny_config();
  odd.train.batch_tokens = 71;
  CHECK(error_of([&] { make_population({odd}); }).find("batch_tokens") != std::string::npos);
  odd = tiny_config();
  odd.train.tokens = 10;
  CHECK(error_of([&] { make_population({odd}); }).find("train.tokens") != std::string::npos);
  CHECK(error_of([] { make_machine("tpu", 1); }).find("[device]") == 0);
}

TEST_CASE("sparse matrices keep their zeros, and train like their member alone") {
  RunConfig config = tiny_config();
  config.parametrisation = "supar";
  config.model.density = 0.25;
  config.train.weight_decay = 0.01;
  RunConfig other = config;
  other.seed = 8;
  Population p = make_population({config, other}), alone = make_population({other});
  const Tensor start = p.weights.clone();
  advance(p, 6);
  advance(alone, 6);
  CHECK(same_member(alone, 0, p, 1));
  const Layout& layout = p.decoder.layout;
  for (size_t i = 0; i < layout.tensors.size(); ++i) {
    CAPTURE(layout.tensors[i].name);
    const Tensor before = view(layout, start, i), after = view(layout, p.weights, i);
    const Tensor kept = view(layout, p.mask, i);
    const bool hidden = layout.tensors[i].role == Role::hidden;
    CHECK(layout.tensors[i].density == (hidden ? 0.25 : 1.0));
    CHECK(kept.mean().item<double>() == doctest::Approx(hidden ? 0.25 : 1.0).epsilon(0.1));
    CHECK((after * (1.0 - kept)).abs().max().item<double>() == 0.0);
    CHECK((before * (1.0 - kept)).abs().max().item<double>() == 0.0);
    if (!hidden) continue;
    CHECK_FALSE(same_bits(kept[0], kept[1]));
    CHECK(((after - before).abs() > 0.0).to(at::kFloat).mean().item<double>() ==
          doctest::Approx(kept.mean().item<double>()).epsilon(1e-6));
    // Its deviation is that of the kept ones, (fan_in rho)^-1/2.
    const double square = (before * before).sum().item<double>() / kept.sum().item<double>();
    CHECK(std::sqrt(square * 0.25 * static_cast<double>(layout.tensors[i].fan_in)) ==
          doctest::Approx(1.0).epsilon(0.1));
  }
  config.parametrisation = "mup";
  CHECK(error_of([&] { make_population({config}); }).find("Only supar") != std::string::npos);
}

TEST_CASE("completedp's betas follow batch over tokens") {
  RunConfig config = tiny_config();
  config.parametrisation = "completedp";
  config.train.beta1 = 0.5;
  config.train.beta2 = 0.75;
  Population base = make_population({config});
  config.base_batch_tokens = 2 * config.train.batch_tokens;  // half of the base's batch
  Population half = make_population({config});
  advance(base, 1);
  advance(half, 1);
  // After one step the moments are (1 - beta) g and (1 - beta) g^2 of one gradient.
  for (const char* name : {"exp_avg", "exp_avg_sq"})
    CHECK(distance(half.optimizer_state.at(name) * 2.0, base.optimizer_state.at(name)) < 1e-6);
}

TEST_CASE("muS is refused with norms before branches and learns with norms after them") {
  RunConfig config = tiny_config();
  config.parametrisation = "mus";
  CHECK(error_of([&] { make_population({config}); }).find("model.norm_place=after") !=
        std::string::npos);
  config.model.norm_place = "after";
  config.train.tokens = 72 * 80;
  config.train.lr = 0.1;
  Population p = make_population({config});
  const HeldOut held = ChainSource().held_out(18, 720);
  const double before = p.evaluate(held)[0].loss;
  advance(p, 80);
  CHECK(p.evaluate(held)[0].loss < before - 0.3);
}

TEST_CASE("factors may be altered before weights are drawn") {
  const RunConfig config = tiny_config();
  Population plain = make_population({config});
  Population altered({config}, std::make_shared<ChainSource>(), make_machine("cpu", 1),
                     [](Decoder& d) {
                       d.layout.factors[0].B *= 2.0;
                       d.block.attention_logit *= 3.0;
                     });
  CHECK(distance(view(altered.decoder.layout, altered.weights, 0),
                 view(plain.decoder.layout, plain.weights, 0) * 2.0) == 0.0);
  CHECK(altered.states[0].block.attention_logit ==
        doctest::Approx(3.0 * plain.states[0].block.attention_logit));
  CHECK(altered.decoder.block.attention_logit == altered.states[0].block.attention_logit);
  altered.weights.copy_(plain.weights);  // what is left is the forward pass
  advance(plain, 1);
  advance(altered, 1);
  CHECK(altered.states[0].loss != plain.states[0].loss);
}
