#include "data/synthetic.h"

#include <doctest/doctest.h>

#include <cmath>
#include <numeric>
#include <set>

#include "core/random.h"
#include "data/ngram_learner.h"
#include "data/source.h"
#include "data/synthetic_source.h"
#include "data/temporary.h"

namespace rung {
namespace {

const std::vector<std::string> languages = {
    "synthetic", "synthetic:vocabulary=7,orders=3,candidates=2",
    "synthetic:vocabulary=64,classes=2,decay=0.7,zipf=0.5",
    "synthetic:vocabulary=16,transition=0.4", "synthetic:transition"};

TEST_CASE("probabilities sum to one and agree with the losses and entropies") {
  for (const std::string& path : languages) {
    CAPTURE(path);
    const SyntheticLanguage language(parse_synthetic(path), 5);
    std::vector<double> p(static_cast<size_t>(language.config().vocabulary));
    std::vector<int32_t> window(40);
    std::vector<double> loss(39), entropy(39);
    Random random(2, path);
    for (uint64_t i = 0; i < 20; ++i) {
      language.generate("test", i, window);
      if (i % 2)  // contexts that the language itself would hardly make
        for (int32_t& token : window) token = static_cast<int32_t>(random.below(p.size()));
      language.losses(window, loss);
      language.entropies(window, entropy);
      for (size_t t = 1; t < window.size(); ++t) {
        language.probabilities(std::span(window).first(t), p);
        double sum = 0.0, h = 0.0;
        for (const double value : p) {
          REQUIRE(value > 0.0);
          sum += value;
          h -= value * std::log(value);
        }
        CHECK(sum == doctest::Approx(1.0).epsilon(1e-9));
        CHECK(entropy[t - 1] == doctest::Approx(h).epsilon(1e-9));
        CHECK(loss[t - 1] ==
              doctest::Approx(-std::log(p[static_cast<size_t>(window[t])])).epsilon(1e-9));
      }
    }
  }
}

TEST_CASE("windows follow the probabilities") {
  for (const char* path : {"synthetic:vocabulary=5,orders=2,candidates=2",
                           "synthetic:vocabulary=5,orders=2,transition=0.4"}) {
    const SyntheticLanguage language(parse_synthetic(path), 9);
    // Counts of each next token after each window of three tokens against p.
    std::map<std::vector<int32_t>, std::vector<double>> counts;
    std::vector<int32_t> window(4);
    constexpr int samples = 200'000;
    for (int i = 0; i < samples; ++i) {
      language.generate("test", static_cast<uint64_t>(i), window);
      auto& row = counts[{window[0], window[1], window[2]}];
      row.resize(5);
      ++row[static_cast<size_t>(window[3])];
    }
    double chi = 0.0, cells = 0.0;
    std::vector<double> p(5);
    for (const auto& [shown, row] : counts) {
      const double n = std::accumulate(row.begin(), row.end(), 0.0);
      if (n < 500) continue;
      language.probabilities(shown, p);
      for (size_t v = 0; v < 5; ++v) chi += (row[v] - n * p[v]) * (row[v] - n * p[v]) / (n * p[v]);
      cells += 4;
    }
    CHECK(cells > 100);
    CHECK(std::abs(chi - cells) < 5.0 * std::sqrt(2.0 * cells));
  }
}

// H of target t averaged over all windows, by enumeration of every window and its probability.
double brute_entropy(const SyntheticLanguage& language, size_t context) {
  const auto vocabulary = static_cast<size_t>(language.config().vocabulary);
  double sum = 0.0;
  std::vector<int32_t> shown;
  const std::function<void(double)> walk = [&](double weight) {
    std::vector<double> p(vocabulary);
    language.probabilities(shown, p);
    if (!shown.empty())
      for (const double q : p) sum -= weight * q * std::log(q);
    if (shown.size() == context) return;
    for (size_t v = 0; v < vocabulary; ++v) {
      shown.push_back(static_cast<int32_t>(v));
      walk(weight * p[v]);
      shown.pop_back();
    }
  };
  walk(1.0);
  return sum / static_cast<double>(context);
}

TEST_CASE("the known entropy is that of a brute-force average") {
  for (const char* path : {"synthetic:vocabulary=4,orders=3,candidates=2",
                           "synthetic:vocabulary=4,orders=2,transition=0.3"}) {
    const SyntheticLanguage language(parse_synthetic(path), 11);
    const KnownEntropy known = known_entropy(language, 6);
    CHECK(known.error <= 5e-4);
    CHECK(std::abs(known.value - brute_entropy(language, 6)) < 4.0 * known.error);
  }
}

TEST_CASE("the default language: entropy and held-out tokens agree, and streams are apart") {
  const auto source = open_source(DataConfig{.path = "synthetic"}, "");
  const HeldOut held = source->held_out(64, 200'000);
  CHECK(held.windows() == 3125);
  CHECK(std::abs(held.entropy - source->entropy(64)) < 0.02);
  CHECK(held.unigram_loss > held.entropy + 1.0);
  CHECK(source->vocabulary() == 256);
  CHECK(held.bytes_per_token == 0.0);
  std::set<std::vector<int32_t>> windows;
  for (int64_t w = 0; w < held.windows(); ++w)
    windows.insert({held.tokens.begin() + w * 65, held.tokens.begin() + w * 65 + 65});
  CHECK(windows.size() == 3125);
  std::vector<int32_t> window(65), shorter(33);
  for (int64_t i = 0; i < 2000; ++i) {
    source->read(i, window);
    CHECK(!windows.contains(window));
  }
  source->read(sequence_at(17, source->sequences(64), 3), window);
  source->read(sequence_at(17, source->sequences(32), 3), shorter);
  CHECK(std::ranges::equal(shorter, std::span(window).first(33)));
  CHECK(source->decode(source->encode(source->decode(window))) == source->decode(window));
  CHECK(has(message_of([&] { (void)source->encode("12 256"); }), "Received '256'"));
  const auto other = open_source(DataConfig{.path = "synthetic"}, "", 2);
  CHECK(other->held_out(64, 640).sha256 != source->held_out(64, 640).sha256);
}

TEST_CASE("knobs parse, print and refuse") {
  for (const std::string& path : languages)
    CHECK(to_string(parse_synthetic(to_string(parse_synthetic(path)))) ==
          to_string(parse_synthetic(path)));
  CHECK(parse_synthetic("synthetic:transition").transition == 0.25);
  CHECK(has(message_of([] { parse_synthetic("synthetic:order=3"); }), "Unknown knob"));
  CHECK(has(message_of([] { parse_synthetic("synthetic:orders=3.5"); }), "whole"));
  CHECK(has(message_of([] { parse_synthetic("synthetic:zipf=x"); }), "wants a number"));
  CHECK(has(message_of([] { parse_synthetic("synthetic:orders"); }), "KNOB=VALUE"));
  CHECK(has(message_of([] { parse_synthetic("synthetic:vocabulary=1"); }), "between"));
}

TEST_CASE("a learner's excess loss falls as a power law over two decades of tokens" *
          doctest::test_suite("slow")) {
  const SyntheticLanguage language(parse_synthetic("synthetic"), 1);
  const std::vector<LearningPoint> curve =
      learning_curve(language, 64, {100'000, 300'000, 1'000'000, 3'000'000, 10'000'000});
  // A straight line through ln excess against ln tokens.
  double sx = 0, sy = 0, sxx = 0, sxy = 0;
  const auto n = static_cast<double>(curve.size());
  for (const LearningPoint& point : curve) {
    const double x = std::log(point.tokens), y = std::log(point.excess);
    sx += x, sy += y, sxx += x * x, sxy += x * y;
  }
  const double slope = (n * sxy - sx * sy) / (n * sxx - sx * sx), offset = (sy - slope * sx) / n;
  for (const LearningPoint& point : curve) {
    const double residual = std::log(point.excess) - offset - slope * std::log(point.tokens);
    MESSAGE("tokens " << point.tokens << " excess " << point.excess << " residual " << residual);
    CHECK(std::abs(residual) < 0.05);
  }
  MESSAGE("slope " << slope);
  CHECK(slope < -0.1);
  CHECK(slope > -0.5);
}

}  // namespace
}  // namespace rung
