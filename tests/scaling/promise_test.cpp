// Promises agree with the factors that the rules give.
#include <cmath>

#include "specs.h"

using namespace rung;
using namespace rung::test;

TEST_CASE(
    "promises: the start of logits and of q.k, and steps of embeddings, follow from factors") {
  for (const Parametrisation& rule : parametrisations()) {
    CAPTURE(rule.name);
    RunConfig config;
    config.parametrisation = rule.name;
    config.alignment = "full";
    config.model.norm_place = rule.name == "mus" ? "after" : "before";
    const Promise promise = promise_of(config);
    CHECK(promise.width);
    const auto at = [&](int64_t width, const TensorSpec& tensor) {
      RunConfig own = config;
      own.model.width = width;
      return complete_factors(rule, tensor, dims_of(own, 256), "full");
    };
    const auto power = [](double small, double large) {
      return std::log(large / small) / std::log(4.0);
    };
    for (const auto& [from, exponent] :
         {std::pair{int64_t{32}, promise.logits.hi}, {int64_t{1024}, promise.logits.lo}}) {
      const auto start = [&](int64_t width) {
        const Factors f = at(width, spec(Role::readout, width, 256));
        return f.A * f.B * std::sqrt(static_cast<double>(width));
      };
      CHECK(power(start(from), start(4 * from)) == doctest::Approx(exponent).epsilon(1e-9));
    }
    const auto step = [&](int64_t width) {
      const Factors f = at(width, spec(Role::embedding, 1, width));
      return f.A * f.C;
    };
    CHECK(power(step(64), step(256)) == doctest::Approx(promise.embedding_step).epsilon(1e-9));
    const auto scores = [&](int64_t width) {  // q and k of size 1, independent
      RunConfig own = config;
      own.model.width = width;
      const Dims dims = dims_of(own, 256);
      return rule.block(own, dims).attention_logit * std::sqrt(static_cast<double>(dims.head_dim));
    };
    CHECK(power(scores(64), scores(256)) == doctest::Approx(promise.scores).epsilon(1e-9));
    const auto hidden = [&](int64_t width) {  // aligned
      const Factors f = at(width, spec(Role::hidden, width, width, 0));
      return f.A * f.C * static_cast<double>(width);
    };
    CHECK(hidden(64) == doctest::Approx(hidden(256)));
  }
}

TEST_CASE("promises: what a block's own step adds over depth follows from factors") {
  for (const Parametrisation& rule : parametrisations()) {
    if (!rule.promise.depth) continue;
    CAPTURE(rule.name);
    RunConfig config;
    config.parametrisation = rule.name;
    const auto step = [&](int64_t depth) {
      config.model.depth = depth;
      return complete_factors(rule, spec(Role::hidden, 64, 64, 0), dims_of(config, 256), "").C;
    };
    CHECK(std::log(step(16) / step(4)) / std::log(4.0) ==
          doctest::Approx(rule.promise.block_step).epsilon(1e-9));
  }
}
