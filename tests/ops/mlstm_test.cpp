#include "ops/mlstm.h"

#include <ATen/ops/cat.h>

#include "support/cell_golden.h"
#include "support/half.h"

using namespace rung;
using namespace rung::test;

namespace {

struct Form {
  const char* name;
  MlstmOutput (*run)(const MlstmInput&);
};
// 4 and 3 do not divide the 11 steps, 11 is all of them: the parallel form; 64 is longer.
const std::vector<Form> forms{
    {"steps", mlstm_recurrent},
    {"chunks of 1", [](const MlstmInput& i) { return mlstm_chunked(i, 1); }},
    {"chunks of 3", [](const MlstmInput& i) { return mlstm_chunked(i, 3); }},
    {"chunks of 4", [](const MlstmInput& i) { return mlstm_chunked(i, 4); }},
    {"parallel", [](const MlstmInput& i) { return mlstm_chunked(i, 11); }},
    {"chunks of 64", [](const MlstmInput& i) { return mlstm_chunked(i, 64); }},
    {"chosen", [](const MlstmInput& i) { return mlstm(i, 4); }},
};

// Two members' inputs: each its own. `spread` widens the gates.
MlstmInput random_input(int64_t time, uint64_t seed, double spread = 1.0) {
  return {.q = normal({2, 2, time, 3, 4}, seed),
          .k = normal({2, 2, time, 3, 4}, seed + 1),
          .v = normal({2, 2, time, 3, 5}, seed + 2),
          .input = normal({2, 2, time, 3}, seed + 3) * spread,
          .forget = normal({2, 2, time, 3}, seed + 4) * spread + 2.0,
          .memory = normal({2, 2, 3, 4, 6}, seed + 5),
          .m = normal({2, 2, 3}, seed + 6)};
}

MlstmInput steps_of(const MlstmInput& in, int64_t start, int64_t count, const MlstmOutput* before) {
  const auto cut = [&](const Tensor& t) { return t.narrow(2, start, count); };
  return {cut(in.q),
          cut(in.k),
          cut(in.v),
          cut(in.input),
          cut(in.forget),
          before ? before->memory : in.memory,
          before ? before->m : in.m};
}

// The memory itself, whatever its m.
Tensor unscaled(const MlstmOutput& out) {
  return out.memory * out.m.exp().unsqueeze(-1).unsqueeze(-1);
}

}  // namespace

TEST_CASE("mLSTM in every form equals the recurrence without a stabiliser, with gradients") {
  const Json golden = read_golden("xlstm.json").at("mlstm_cell");
  for (const Form& form : forms) {
    CAPTURE(form.name);
    Tensor c = sines({1, 2, 2, 3, 4}, 0.33, 0.7).requires_grad_();
    Tensor n = sines({1, 2, 2, 3}, 0.61, 0.8).requires_grad_();
    MlstmInput in{.q = sines({1, 2, 11, 2, 3}, 0.7, 1.5),
                  .k = sines({1, 2, 11, 2, 3}, 1.3),
                  .v = sines({1, 2, 11, 2, 4}, 0.45, 1.2),
                  .input = sines({1, 2, 11, 2}, 1.1, 2.0, -0.5),
                  .forget = sines({1, 2, 11, 2}, 0.9, 2.0, 1.0),
                  .memory = {},
                  .m = sines({1, 2, 2}, 1.0)};  // any m stands for the same memory
    const std::vector<std::pair<const char*, Tensor*>> leaves{
        {"dq", &in.q},      {"dk", &in.k}, {"dv", &in.v}, {"di", &in.input},
        {"df", &in.forget}, {"dC", &c},    {"dn", &n}};
    for (const auto& [name, leaf] : leaves) leaf->requires_grad_();
    in.memory = at::cat({c, n.unsqueeze(-1)}, -1) * (-in.m).exp().unsqueeze(-1).unsqueeze(-1);
    const MlstmOutput out = form.run(in);
    const Tensor last = unscaled(out), last_c = last.narrow(-1, 0, 4), last_n = last.select(-1, 4);
    check_cell(golden, {{"h", out.h}, {"last_C", last_c}, {"last_n", last_n}}, leaves);
  }
}

TEST_CASE("mLSTM from a carried memory is mLSTM of the whole, wherever it is cut") {
  const MlstmInput all = random_input(13, 40);
  const MlstmOutput whole = mlstm_recurrent(all);
  for (const int64_t first : {1, 4, 7, 12}) {
    CAPTURE(first);
    const MlstmOutput head = mlstm(steps_of(all, 0, first, nullptr), 4);
    const MlstmOutput tail = mlstm(steps_of(all, first, 13 - first, &head), 4);
    CHECK(distance(at::cat({head.h, tail.h}, 2), whole.h) < 1e-12);
    CHECK(distance(unscaled(tail), unscaled(whole)) < 1e-12);
  }
}

TEST_CASE("mLSTM of two members is that of each alone, and starts from nothing without a memory") {
  MlstmInput both = random_input(9, 60);
  both.memory = both.m = Tensor();
  const MlstmOutput out = mlstm(both, 4);
  for (int64_t p = 0; p < 2; ++p) {
    const auto own = [&](const Tensor& t) { return t.narrow(0, p, 1); };
    const MlstmOutput alone = mlstm(
        {own(both.q), own(both.k), own(both.v), own(both.input), own(both.forget), {}, {}}, 4);
    CHECK(distance(own(out.h), alone.h) < 1e-14);
    CHECK(distance(own(out.memory), alone.memory) < 1e-14);
  }
  MlstmInput zero = both;
  zero.memory = at::zeros_like(out.memory);
  zero.m = at::zeros_like(out.m) + 3.0;
  CHECK(distance(mlstm_recurrent(zero).h, out.h) < 1e-12);
}

TEST_CASE("mLSTM neither overflows nor loses its digits where gates span hundreds of powers of e") {
  const MlstmInput in = random_input(48, 80, 60.0);
  const MlstmOutput want = mlstm_recurrent(in);
  CHECK(in.input.max().item<double>() > 100.0);  // beyond float32's exp
  const auto single = [](const Tensor& t) { return t.to(at::kFloat); };
  const MlstmInput f{single(in.q),      single(in.k),      single(in.v), single(in.input),
                     single(in.forget), single(in.memory), single(in.m)};
  for (const Form& form : forms) {
    CAPTURE(form.name);
    CHECK(distance(form.run(in).h, want.h) < 1e-10);
    const MlstmOutput near = form.run(f);
    CHECK(near.h.isfinite().all().item<bool>());
    CHECK(near.memory.isfinite().all().item<bool>());
    CHECK((near.h - want.h).abs().median().item<double>() < 1e-4);
  }
}

// Where |n q| nearly cancels, h moves by much more than its inputs; smaller input gates leave the
// floor of 1 in charge.
TEST_CASE("mLSTM whose products are bf16 is the recurrence of the rounded inputs, with gradients") {
  struct Case {
    int64_t time, heads, key, value, chunk;
    double spread, input;
  };
  for (const Case& c : {Case{64, 2, 16, 16, 32, 1.0, -3.0}, Case{37, 2, 16, 24, 16, 1.0, -3.0},
                        Case{33, 3, 32, 64, 16, 4.0, -12.0}}) {
    CAPTURE(c.time);
    const auto gate = [&](uint64_t seed) {
      return normal({2, 1, c.time, c.heads}, seed) * c.spread;
    };
    const Tensor q = normal({2, 1, c.time, c.heads, c.key}, 1);
    check_half(
        {q / std::sqrt(static_cast<double>(c.key)), normal({2, 1, c.time, c.heads, c.key}, 2),
         normal({2, 1, c.time, c.heads, c.value}, 3), gate(4) + c.input, gate(5) + 3.0},
        {3, 4},
        [&](const std::vector<Tensor>& t) {
          const MlstmInput in{t[0], t[1], t[2], t[3], t[4], {}, {}};
          return (is_half(t[0]) ? mlstm_chunked(in, c.chunk) : mlstm_recurrent(in)).h;
        },
        2e-2);
  }
}

TEST_CASE("mLSTM with bf16 products does not overflow where gates span hundreds of powers of e") {
  const MlstmInput in = random_input(48, 80, 60.0);
  const auto to = [](const Tensor& t, at::ScalarType type) { return t.to(type); };
  const MlstmInput half{to(in.q, at::kBFloat16),
                        to(in.k, at::kBFloat16),
                        to(in.v, at::kBFloat16),
                        to(in.input, at::kFloat).requires_grad_(),
                        to(in.forget, at::kFloat).requires_grad_(),
                        to(in.memory, at::kFloat),
                        to(in.m, at::kFloat)};
  const MlstmOutput out = mlstm_chunked(half, 16);
  CHECK(out.h.isfinite().all().item<bool>());
  (out.h.to(at::kFloat).clamp(-10.0, 10.0)).sum().backward();
  CHECK(half.input.grad().isfinite().all().item<bool>());
  CHECK(half.forget.grad().isfinite().all().item<bool>());
}
