#include <doctest/doctest.h>

#include "plan/shapes.h"
#include "planted_fit.h"

using namespace rung;
using planted::plan_of;
using planted::source;

TEST_CASE("shape: counted as the decoder counts") {
  // Width 64, 4 blocks of 4 width^2 attention and 9 width^2 gated layers, 1024 entries.
  const ModelShape shape = make_shape(64, 4, {.vocabulary = 1024});
  CHECK(shape.N == 4 * 13 * 64 * 64 + 1024 * 64);
  CHECK(shape.N_total == shape.N + 1024 * 64);
  CHECK(shape.flops_per_token == 6 * shape.N);
  CHECK(shape.heads == 1);
  // Attention over a context: 2 (T + 1) width a block forward, three passes.
  const ModelShape long_one = make_shape(64, 4, {.vocabulary = 1024, .context = 127});
  CHECK(long_one.flops_per_token == 6 * shape.N + 3.0 * 4 * 2 * 128 * 64);
  // Two key and value heads of 128 beside 16 query heads.
  const ModelShape grouped = make_shape(2048, 1, {.kv_heads = 2});
  CHECK(grouped.N == 2048.0 * (2 * 2048 + 2 * 256) + 9.0 * 2048 * 2048);
  // Eight experts store eight feed-forward layers and a router; a token visits one.
  const ModelShape experts = make_shape(512, 2, {.experts = 8});
  CHECK(experts.N == 2 * (13.0 * 512 * 512 + 8 * 512));
  CHECK(experts.N_total == 2 * (4.0 * 512 * 512 + 8 * 9.0 * 512 * 512 + 8 * 512));
  // Two matrices without a gate; a tied matrix is stored once and multiplied by once.
  const ModelShape plain = make_shape(64, 4, {.vocabulary = 1024, .gated = false, .tied = true});
  CHECK(plain.N == 4 * 10 * 64 * 64 + 1024 * 64);
  CHECK(plain.N_total == plain.N);
  CHECK(planted::failure_of([] { make_shape(100, 2, {}); }).first == Failure::usage);
}

TEST_CASE("shape: rules prefer what their sources say") {
  // Levine's constants: width = e^(5.039 + .0555 depth).
  const ShapeRule levine = make_shape_rule(nullptr, "", 0.9);
  const ShapeOptions options;
  for (const double n : {1e7, 1e9, 1e11}) {
    const double aspect = levine.aspect(n, options);
    const double width = std::cbrt(aspect * n / 13.0), depth = width / aspect;
    CHECK(width == doctest::Approx(std::exp(5.039 + 0.0555 * depth)).epsilon(1e-6));
  }
  // A width-depth law: no other shape of the same size has a lower loss.
  const Fit fit = planted::fit_of(width_depth_law,
                                  {1.0, 8.29, 2.08, 79550.0, 0.26065, 0.14165, 0.53096}, 0.02, {4});
  const ShapeRule fitted = make_shape_rule(&fit, "shape.json", 0.9);
  const auto loss = [&](double width, double depth) {
    return 8.29 * std::pow(width, -0.26065) + 2.08 * std::pow(depth, -0.14165);
  };
  const double n = 1e9, aspect = fitted.aspect(n, options);
  const double width = std::cbrt(aspect * n / 13.0);
  const auto at = [&](double factor) {
    return loss(width * factor, width / aspect / (factor * factor));
  };
  CHECK(at(1.0) < at(1.02));
  CHECK(at(1.0) < at(0.98));
  const Range range = fitted.aspect_interval(n, options);
  CHECK(range.min < aspect);
  CHECK(range.max > aspect);
}

TEST_CASE("shape: a law of width and depth prices a shape against the best of its size") {
  const std::vector<double> c = {1.0, 8.29, 2.08, 79550.0, 0.26065, 0.14165, 0.53096};
  const Fit fit = planted::fit_of(width_depth_law, c);
  const ShapeRule rule = make_shape_rule(&fit, "shape.json", 0.9);
  const double tokens = 1e11;
  const auto loss = [&](double width, double depth) {
    return c[0] + c[1] * std::pow(width, -c[4]) + c[2] * std::pow(depth, -c[5]) +
           c[3] * std::pow(tokens, -c[6]);
  };
  for (const int64_t vocabulary : {0, 50304})
    for (const auto& [width, depth] : {std::pair<int64_t, int64_t>{512, 200}, {2048, 4}}) {
      const ShapeOptions options{.vocabulary = vocabulary};
      const ModelShape shape = make_shape(width, depth, options);
      // Every other shape of this size, by brute force.
      double least = 1e9;
      for (double w = 64.0; w < 20.0 * static_cast<double>(width); w *= 1.002) {
        const double blocks = shape.N - static_cast<double>(vocabulary) * w;
        if (blocks > 0.0) least = std::min(least, loss(w, blocks / (13.0 * w * w)));
      }
      const double own = loss(static_cast<double>(width), static_cast<double>(depth));
      CHECK(rule.price(shape, tokens, options) == doctest::Approx(own / least).epsilon(1e-5));
      CHECK(rule.price(shape, tokens, options) > 1.01);
    }
  CHECK(make_shape_rule(nullptr, "", 0.9).price(make_shape(512, 200, {}), tokens, {}) == 1.0);
  // A plan's shapes carry the price.
  const PlanSource surface = planted::source(planted::chinchilla(0.005));
  const PlanSource shapes = planted::source(fit, "shape.json");
  const PlanOptions given{.flops = 1e20, .width = 2048, .depth = 4};
  const Plan priced = plan_of({surface, shapes}, given), plain = plan_of({surface}, given);
  REQUIRE(priced.shapes.size() == 1);
  CHECK(priced.shapes[0].price > 1.01);
  CHECK(priced.shapes[0].loss ==
        doctest::Approx(plain.shapes[0].loss * priced.shapes[0].price).epsilon(1e-12));
  CHECK(priced.remarks.back().find("shape.json") != std::string::npos);
  // Those that the rule chooses cost nearly nothing.
  for (const ShapeCandidate& candidate : plan_of({surface, shapes}, {.flops = 1e21}).shapes)
    CHECK(candidate.price < 1.002);
}

TEST_CASE("shapes: real, near the best, and judged by the law") {
  const PlanOptions options{.flops = 1e21, .shape = {.vocabulary = 50304}};
  const Plan plan = plan_of({source(planted::chinchilla(0.005))}, options);
  REQUIRE(plan.shapes.size() >= 4);
  const double best = planted::loss_at(plan.N, plan.D);
  for (const ShapeCandidate& c : plan.shapes) {
    CAPTURE(c.shape.width);
    CHECK(c.shape.width % 64 == 0);
    CHECK((c.shape.width < 1024 || c.shape.width % 128 == 0));
    CHECK(c.shape.heads * c.shape.head_size == c.shape.width);
    CHECK(c.shape.N == make_shape(c.shape.width, c.shape.depth, options.shape).N);
    CHECK(6 * c.shape.N * c.D == doctest::Approx(1e21));
    CHECK(c.loss == doctest::Approx(planted::loss_at(c.shape.N, c.D)));
    CHECK(c.excess == doctest::Approx(c.loss / best - 1));
    CHECK(c.excess >= -1e-12);
    CHECK(c.excess < 1.03 * options.flat);
  }
  CHECK(plan.shapes.front().excess < 2e-4);
  for (size_t i = 1; i < plan.shapes.size(); ++i)
    CHECK(plan.shapes[i - 1].loss <= plan.shapes[i].loss);
  // Limits hold for what is stored, embeddings included.
  PlanOptions small = options;
  small.memory = 16 * 2e9;
  for (const ShapeCandidate& c : plan_of({source(planted::chinchilla(0.005))}, small).shapes)
    CHECK(16 * c.shape.N_total <= small.memory);
}

TEST_CASE("shapes: a given shape is judged as it stands") {
  PlanOptions options{.flops = 1e20, .width = 1024, .depth = 12, .shape = {.vocabulary = 32000}};
  const Plan plan = plan_of({source(planted::chinchilla(0.005))}, options);
  const double n = 12 * 13.0 * 1024 * 1024 + 32000.0 * 1024;
  CHECK(plan.N == n);
  REQUIRE(plan.shapes.size() == 1);
  CHECK(plan.shapes[0].excess == doctest::Approx(plan.given->excess));
  options.size = 1e9;
  CHECK(planted::failure_of([&] { plan_of({source(planted::chinchilla())}, options); }).first ==
        Failure::usage);
}
