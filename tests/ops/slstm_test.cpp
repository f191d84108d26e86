#include "ops/slstm.h"

#include <ATen/ops/cat.h>

#include "support/cell_golden.h"

using namespace rung;
using namespace rung::test;

namespace {

Tensor random_slots(int64_t time, uint64_t seed, double spread = 1.0) {
  return normal({2, 2, time, 3, 4, 5}, seed) * spread;
}

}  // namespace

TEST_CASE("sLSTM equals the recurrence without a stabiliser, with gradients") {
  const Json golden = read_golden("xlstm.json").at("slstm_cell");
  Tensor x = sines({1, 2, 11, 2, 4, 3}, 0.7, 1.5), recurrent = sines({1, 24, 3}, 1.3, 0.6);
  Tensor y = sines({1, 2, 2, 3}, 0.45), c = sines({1, 2, 2, 3}, 1.1);
  Tensor n = sines({1, 2, 2, 3}, 0.9, 0.5, 1.0);
  const std::vector<std::pair<const char*, Tensor*>> leaves{
      {"dx", &x}, {"dR", &recurrent}, {"dy", &y}, {"dc", &c}, {"dn", &n}};
  for (const auto& [name, leaf] : leaves) leaf->requires_grad_();
  const Tensor m = sines({1, 2, 2, 3}, 1.0);  // any m stands for the same memory
  const auto [ys, last] = slstm(x, recurrent, {y, c * (-m).exp(), n * (-m).exp(), m});
  const Tensor last_c = last.c * last.m.exp(), last_n = last.n * last.m.exp();
  check_cell(golden, {{"ys", ys}, {"last_c", last_c}, {"last_n", last_n}}, leaves);
}

TEST_CASE("sLSTM from a carried state is sLSTM of the whole, and each member is its own") {
  const Tensor x = random_slots(9, 1), recurrent = normal({2, 60, 5}, 2);
  const auto [whole, end] = slstm(x, recurrent, {});
  for (const int64_t first : {1, 4, 8}) {
    const auto [head, middle] = slstm(x.narrow(2, 0, first), recurrent, {});
    const auto [tail, last] = slstm(x.narrow(2, first, 9 - first), recurrent, middle);
    CHECK(distance(at::cat({head, tail}, 2), whole) < 1e-13);
    CHECK(distance(last.c * last.m.exp(), end.c * end.m.exp()) < 1e-13);
  }
  for (int64_t p = 0; p < 2; ++p) {
    const auto [alone, last] = slstm(x.narrow(0, p, 1), recurrent.narrow(0, p, 1), {});
    CHECK(distance(alone, whole.narrow(0, p, 1)) < 1e-14);
  }
}

TEST_CASE("sLSTM neither overflows nor loses its digits where gates span hundreds of powers of e") {
  const Tensor x = random_slots(40, 3, 60.0), recurrent = normal({2, 60, 5}, 4);
  CHECK(x.max().item<double>() > 100.0);  // beyond float32's exp
  const Tensor want = slstm(x, recurrent, {}).first;
  const Tensor near = slstm(x.to(at::kFloat), recurrent.to(at::kFloat), {}).first;
  CHECK(near.isfinite().all().item<bool>());
  CHECK(want.abs().max().item<double>() <= 1.0);
  CHECK((near - want).abs().median().item<double>() < 1e-4);
}
