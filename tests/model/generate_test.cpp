#include "model/generate.h"

#include <doctest/doctest.h>

#include <array>
#include <cmath>

#include "core/error.h"

using namespace rung;

TEST_CASE("sampling follows the softmax, its temperature and top-k") {
  const std::array<float, 4> logits = {std::log(0.1f), std::log(0.4f), std::log(0.3f),
                                       std::log(0.2f)};
  Random random(1, "test");
  CHECK(sample_token(logits, {.temperature = 0.0}, random) == 1);
  CHECK(sample_token(logits, {.top_k = 1}, random) == 1);
  const auto shares = [&](const Sampling& sampling) {
    std::array<double, 4> share{};
    for (int i = 0; i < 20000; ++i)
      share[static_cast<size_t>(sample_token(logits, sampling, random))] += 5e-5;
    return share;
  };
  const auto plain = shares({});
  const double expected[] = {0.1, 0.4, 0.3, 0.2};
  for (size_t i = 0; i < 4; ++i) CHECK(std::abs(plain[i] - expected[i]) < 0.015);
  const auto two = shares({.top_k = 2});
  CHECK(two[0] + two[3] == 0.0);
  CHECK(std::abs(two[1] - 4.0 / 7.0) < 0.015);
  const auto cold = shares({.temperature = 0.5});
  CHECK(std::abs(cold[1] - 0.16 / 0.30) < 0.015);
}

TEST_CASE("a nucleus keeps the fewest tokens that reach its share, a floor those near the first") {
  // Tokens 1, 2, 3, 0 by likelihood: 0.4, 0.3, 0.2, 0.1.
  const std::array<float, 4> logits = {std::log(0.1f), std::log(0.4f), std::log(0.3f),
                                       std::log(0.2f)};
  Random random(1, "test");
  const auto kept = [&](const Sampling& sampling) {
    std::array<int, 4> count{};
    for (int i = 0; i < 2000; ++i)
      ++count[static_cast<size_t>(sample_token(logits, sampling, random))];
    std::string found;
    for (const size_t token : {1, 2, 3, 0})
      if (count[token] > 0) found += std::to_string(token);
    return found;
  };
  CHECK(kept({.top_p = 0.35}) == "1");
  CHECK(kept({.top_p = 0.65}) == "12");
  CHECK(kept({.top_p = 0.75}) == "123");
  CHECK(kept({.top_p = 0.95}) == "1230");
  CHECK(kept({.min_p = 0.9}) == "1");
  CHECK(kept({.min_p = 0.7}) == "12");
  CHECK(kept({.min_p = 0.3}) == "123");
  CHECK(kept({.min_p = 0.2}) == "1230");
  CHECK(kept({.top_p = 0.75, .min_p = 0.7}) == "12");
  CHECK(kept({.top_k = 2, .top_p = 0.75}) == "12");          // of the two, 4/7 and 3/7
  CHECK(kept({.top_k = 3, .top_p = 0.43}) == "1");           // 4/9 of the three
  CHECK(kept({.temperature = 2.0, .top_p = 0.35}) == "12");  // sqrt: 0.33, 0.28, 0.23, 0.16
}

TEST_CASE("logits that are not numbers are refused") {
  const std::array<float, 2> logits = {NAN, 1.0f};
  Random random(1, "test");
  CHECK_THROWS_AS(sample_token(logits, {}, random), Error);
}
