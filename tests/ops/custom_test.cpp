#include "ops/custom.h"

#include <ATen/ops/exp.h>
#include <ATen/ops/sin.h>

#include "support/twins.h"

using namespace rung;
using namespace rung::test;

TEST_CASE("a recomputed function has the values and the gradients of the function") {
  // Three inputs, of which one is a constant and one may be missing; the second output is unused.
  const auto f = [](const std::vector<Tensor>& t) -> std::vector<Tensor> {
    Tensor y = at::exp(t[0]) * t[1];
    if (t[2].defined()) y = y + t[2] * t[0];
    return {y, at::sin(t[0])};
  };
  for (const bool given : {true, false}) {
    CAPTURE(given);
    std::vector<std::vector<Tensor>> gradients;
    for (const bool again : {false, true}) {
      const Tensor x = normal({2, 3}, 1).requires_grad_(), c = normal({2, 3}, 2);
      const Tensor z = given ? normal({2, 3}, 3).requires_grad_() : Tensor();
      const Tensor input = x * 2.0;  // not a leaf
      const auto out = again ? recomputed({input, c, z}, f) : f({input, c, z});
      CHECK(same_bits(out[0].detach(), f({input.detach(), c, z})[0].detach()));
      (out[0] * normal({2, 3}, 4)).sum().backward();
      gradients.push_back({x.grad()});
      if (given) gradients.back().push_back(z.grad());
      CHECK_FALSE(c.grad().defined());
    }
    for (size_t i = 0; i < gradients[0].size(); ++i)
      CHECK(distance(gradients[1][i], gradients[0][i]) < 1e-15);
  }
}

TEST_CASE(
    "a recomputed function runs once where nothing is recorded, and twice with its gradient") {
  int runs = 0;
  const auto f = [&](const std::vector<Tensor>& t) -> std::vector<Tensor> {
    ++runs;
    return {t[0] * t[0]};
  };
  const Tensor x = normal({3}, 1).requires_grad_();
  {
    at::NoGradGuard off;
    CHECK_FALSE(recomputed({x}, f)[0].requires_grad());
  }
  CHECK(runs == 1);
  recomputed({x}, f)[0].sum().backward();
  CHECK(runs == 3);
}
