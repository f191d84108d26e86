#include "ops/ssd.h"

#include <ATen/ops/cat.h>

#include "support/goldens.h"
#include "support/half.h"

using namespace rung;
using namespace rung::test;

namespace {

struct Form {
  const char* name;
  std::pair<Tensor, Tensor> (*run)(const SsdInput&);
};
// 4 and 3 do not divide the 11 steps, 11 is all of them, 64 is longer.
const std::vector<Form> forms{
    {"steps", ssd_recurrent},
    {"chunks of 1", [](const SsdInput& i) { return ssd_chunked(i, 1); }},
    {"chunks of 3", [](const SsdInput& i) { return ssd_chunked(i, 3); }},
    {"chunks of 4", [](const SsdInput& i) { return ssd_chunked(i, 4); }},
    {"chunks of 11", [](const SsdInput& i) { return ssd_chunked(i, 11); }},
    {"chunks of 64", [](const SsdInput& i) { return ssd_chunked(i, 64); }},
    {"chosen", [](const SsdInput& i) { return ssd(i, 4); }},
};

// Two members' inputs: each its own.
SsdInput random_input(int64_t time, int64_t heads, int64_t groups, uint64_t seed) {
  return {.x = normal({2, 2, time, heads, 3}, seed),
          .dt = normal({2, 2, time, heads}, seed + 1).exp() * 0.1,
          .a = -normal({2, heads}, seed + 2).exp(),
          .b = normal({2, 2, time, groups, 5}, seed + 3),
          .c = normal({2, 2, time, groups, 5}, seed + 4),
          .state = normal({2, 2, heads, 3, 5}, seed + 5),
          .skip = normal({2, heads}, seed + 6)};
}

SsdInput steps_of(const SsdInput& in, int64_t start, int64_t count, const Tensor& state) {
  const auto cut = [&](const Tensor& t) { return t.narrow(2, start, count); };
  return {cut(in.x), cut(in.dt), in.a, cut(in.b), cut(in.c), state, in.skip};
}

}  // namespace

TEST_CASE("SSD in every form equals the recurrence written independently, with gradients") {
  const Json golden = read_golden("mamba2.json").at("ssd");
  for (const Form& form : forms) {
    CAPTURE(form.name);
    SsdInput in{.x = sines({1, 2, 11, 4, 3}, 0.7, 1.5),
                .dt = sines({1, 2, 11, 4}, 1.1, 0.4, 0.5),
                .a = sines({1, 4}, 0.9, 0.5, -0.8),
                .b = sines({1, 2, 11, 2, 5}, 1.3),
                .c = sines({1, 2, 11, 2, 5}, 0.45),
                .state = sines({1, 2, 4, 3, 5}, 0.33, 0.7)};
    const std::vector<std::pair<const char*, Tensor*>> leaves{{"dx", &in.x}, {"ddt", &in.dt},
                                                              {"da", &in.a}, {"db", &in.b},
                                                              {"dc", &in.c}, {"dstate", &in.state}};
    for (const auto& [name, leaf] : leaves) leaf->requires_grad_();
    const auto [y, last] = form.run(in);
    CHECK(distance(y, golden_tensor(golden.at("y"), y)) < 1e-12);
    CHECK(distance(last, golden_tensor(golden.at("last"), last)) < 1e-12);
    ((y * sines(y.sizes().vec(), 0.3)).sum() + (last * sines(last.sizes().vec(), 0.2)).sum())
        .backward();
    for (const auto& [name, leaf] : leaves) {
      CAPTURE(name);
      CHECK(distance(leaf->grad(), golden_tensor(golden.at(name), *leaf)) < 1e-11);
    }
  }
}

TEST_CASE("SSD from a carried state is SSD of the whole, wherever it is cut") {
  const SsdInput all = random_input(13, 4, 2, 40);
  const auto [y, last] = ssd_recurrent(all);
  for (const int64_t first : {1, 4, 7, 12}) {
    CAPTURE(first);
    const auto [head, middle] = ssd(steps_of(all, 0, first, all.state), 4);
    const auto [tail, end] = ssd(steps_of(all, first, 13 - first, middle), 4);
    CHECK(distance(at::cat({head, tail}, 2), y) < 1e-13);
    CHECK(distance(end, last) < 1e-13);
  }
}

TEST_CASE("SSD of two members is that of each alone, and starts from nothing without a state") {
  SsdInput both = random_input(9, 6, 3, 60);
  both.state = Tensor();
  const auto [y, last] = ssd(both, 4);
  for (int64_t p = 0; p < 2; ++p) {
    const auto own = [&](const Tensor& t) { return t.narrow(0, p, 1); };
    const auto [alone, end] = ssd(
        {own(both.x), own(both.dt), own(both.a), own(both.b), own(both.c), {}, own(both.skip)}, 4);
    CHECK(distance(own(y), alone) < 1e-14);
    CHECK(distance(own(last), end) < 1e-14);
  }
  SsdInput zero = both;
  zero.state = at::zeros_like(last);
  CHECK(distance(ssd_recurrent(zero).first, y) < 1e-13);
}

TEST_CASE("the fused SSD is its plain twin: values, last state, every gradient") {
  struct Shape {
    int64_t members, batch, time, heads, size, groups, state;
  };
  for (const Shape& s :
       {Shape{1, 1, 1, 1, 1, 1, 1}, Shape{2, 3, 37, 6, 5, 2, 7}, Shape{1, 2, 32, 4, 8, 1, 32},
        Shape{2, 1, 16, 2, 4, 2, 16}, Shape{1, 1, 50, 3, 3, 3, 40}})
    for (const bool carried : {false, true}) {
      CAPTURE(s.time);
      CAPTURE(carried);
      const SsdInput values{
          normal({s.members, s.batch, s.time, s.heads, s.size}, 1),
          normal({s.members, s.batch, s.time, s.heads}, 2).exp() * 0.2,
          -normal({s.members, s.heads}, 3).exp(),
          normal({s.members, s.batch, s.time, s.groups, s.state}, 4),
          normal({s.members, s.batch, s.time, s.groups, s.state}, 5),
          carried ? normal({s.members, s.batch, s.heads, s.size, s.state}, 6) : Tensor(),
          normal({s.members, s.heads}, 9)};
      const auto run = [&](at::ScalarType type) {
        std::vector<Tensor> leaves;
        const auto leaf = [&](const Tensor& t) {
          if (!t.defined()) return t;
          leaves.push_back(t.to(type).clone().requires_grad_());
          return leaves.back();
        };
        const SsdInput in{leaf(values.x), leaf(values.dt),    leaf(values.a),   leaf(values.b),
                          leaf(values.c), leaf(values.state), leaf(values.skip)};
        const auto [y, last] = type == at::kFloat ? ssd(in, 4) : ssd_recurrent(in);
        const Tensor weight = normal(y.sizes().vec(), 7).to(type),
                     end = normal(last.sizes().vec(), 8).to(type);
        Tensor total = (y * weight).sum();
        if (carried) total = total + (last * end).sum();  // else no gradient reaches the last state
        total.backward();
        std::vector<Tensor> results{y, last};
        for (const Tensor& t : leaves) results.push_back(t.grad());
        return results;
      };
      const auto fused = run(at::kFloat), plain = run(at::kDouble);
      for (size_t i = 0; i < fused.size(); ++i) {
        CAPTURE(i);
        CHECK(distance(fused[i], plain[i]) < 1e-5);
      }
    }
}

TEST_CASE("SSD in fp32 stays near fp64 where decays span many orders") {
  SsdInput in = random_input(96, 4, 1, 80);
  in.a = in.a * 40.0;  // a step keeps from all to exp(-100) of the state
  const auto single = [](const Tensor& t) { return t.to(at::kFloat); };
  const SsdInput f{single(in.x), single(in.dt),    single(in.a),   single(in.b),
                   single(in.c), single(in.state), single(in.skip)};
  const auto [y, last] = ssd_recurrent(in);
  for (const Form& form : forms) {
    CAPTURE(form.name);
    const auto [near, end] = form.run(f);
    CHECK(distance(near, y) < 1e-5);
    CHECK(distance(end, last) < 1e-5);
  }
}

TEST_CASE(
    "SSD whose products are bf16 is the recurrence of the rounded inputs, gradients included") {
  struct Case {
    int64_t time, heads, groups, size, state, chunk;
  };
  for (const Case& c : {Case{64, 4, 1, 16, 16, 32}, Case{37, 4, 2, 8, 24, 16}}) {
    CAPTURE(c.time);
    const Tensor dt = (normal({2, 1, c.time, c.heads}, 2) * 0.5 - 2.0).exp();
    check_half(
        {normal({2, 1, c.time, c.heads, c.size}, 1), dt, -(normal({2, c.heads}, 3) * 0.5).exp(),
         normal({2, 1, c.time, c.groups, c.state}, 4),
         normal({2, 1, c.time, c.groups, c.state}, 5)},
        {1, 2}, [&](const std::vector<Tensor>& t) {
          const SsdInput in{t[0], t[1], t[2], t[3], t[4], {}};
          return (is_half(t[0]) ? ssd_chunked(in, c.chunk) : ssd_recurrent(in)).first;
        });
  }
}
