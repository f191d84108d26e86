#include "ops/scan.h"

#include "support/twins.h"

using namespace rung;
using namespace rung::test;

namespace {

Tensor gates(const std::vector<int64_t>& shape, uint64_t seed) {
  return normal(shape, seed).sigmoid();
}

// Step by step.
Tensor recurrence(const Tensor& f, const Tensor& c, const Tensor& first) {
  Tensor h = first.defined() ? first.clone() : at::zeros_like(f.select(2, 0));
  Tensor all = at::empty_like(f);
  for (int64_t t = 0; t < f.size(2); ++t) {
    h = f.select(2, t) * h + (1.0 - f.select(2, t)) * c.select(2, t);
    all.select(2, t).copy_(h);
  }
  return all;
}

}  // namespace

TEST_CASE("the scan in parallel is the recurrence, at any length and from any state") {
  for (const int64_t time : {1, 2, 3, 8, 29})
    for (const bool with_state : {false, true}) {
      CAPTURE(time);
      const Tensor f = gates({2, 3, time, 5}, 1), c = normal({2, 3, time, 5}, 2),
                   first = with_state ? normal({2, 3, 5}, 3) : Tensor();
      CHECK(distance(gated_scan_plain(f, c, first), recurrence(f, c, first)) < 1e-13);
      const auto fp32 = [](const Tensor& t) { return t.defined() ? t.to(at::kFloat) : t; };
      CHECK(distance(gated_scan(fp32(f), fp32(c), fp32(first)), recurrence(f, c, first)) < 1e-6);
    }
}

TEST_CASE("the scan's twins are one function") {
  for (const int64_t time : {1, 7, 33}) {
    const auto with = [](auto op) {
      return [op](const std::vector<Tensor>& in, const std::vector<Weight>&) {
        return std::vector<Tensor>{op(in[0], in[1], Tensor())};
      };
    };
    check_twin({.name = "gated scan",
                .inputs = {gates({2, 2, time, 19}, 4), normal({2, 2, time, 19}, 5)},
                .fused = with(gated_scan),
                .plain = with(gated_scan_plain)});
    const Tensor first = normal({2, 2, 19}, 6);
    const auto going_on = [first](auto op) {
      return [op, first](const std::vector<Tensor>& in, const std::vector<Weight>&) {
        return std::vector<Tensor>{op(in[0], in[1], first.to(in[0].scalar_type()))};
      };
    };
    check_twin({.name = "gated scan from a state",
                .inputs = {gates({2, 2, time, 19}, 4), normal({2, 2, time, 19}, 5)},
                .fused = going_on(gated_scan),
                .plain = going_on(gated_scan_plain)});
  }
}
