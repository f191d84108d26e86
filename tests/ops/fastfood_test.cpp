#include "ops/fastfood.h"

#include <ATen/ops/eye.h>
#include <ATen/ops/matmul.h>

#include <bit>
#include <cmath>
#include <set>

#include "support/twins.h"
#include "temporary.h"

using namespace rung;
using namespace rung::test;

namespace {

// By the parity of common bits.
Tensor dense_hadamard(int64_t n) {
  Tensor h = at::zeros({n, n}, at::kDouble);
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j < n; ++j)
      h.mutable_data_ptr<double>()[i * n + j] =
          (std::popcount(static_cast<uint64_t>(i & j)) % 2 == 0 ? 1.0 : -1.0) /
          std::sqrt(static_cast<double>(n));
  return h;
}

Weight weight_of(const Tensor& value) {
  return {.value = value, .gradient = at::zeros_like(value)};
}

}  // namespace

TEST_CASE("the fast Hadamard transform is the matrix, fused and plain, with its gradient") {
  for (const int64_t n : {1, 2, 8, 64, 256}) {
    CAPTURE(n);
    const Tensor x = normal({2, 3, 5, n}, 4);
    CHECK(distance(hadamard(x), at::matmul(x, dense_hadamard(n))) < 1e-14);
    check_twin(
        {.name = "hadamard",
         .inputs = {x},
         .weights = {},
         .fused = [](const auto& in, const auto&) { return std::vector{hadamard(in[0])}; },
         .plain = [](const auto& in, const auto&) { return std::vector{hadamard_plain(in[0])}; }});
  }
  CHECK(error_of([] {
          hadamard(normal({1, 1, 1, 6}, 1));
        }).find("power of two") != std::string::npos);
}

TEST_CASE("fastfood is S H G Pi H B, block by block, for every member") {
  for (const auto& [in, out] : {std::pair<int64_t, int64_t>{8, 8}, {6, 20}, {20, 6}, {16, 40}}) {
    CAPTURE(in);
    CAPTURE(out);
    const FastfoodMap map = make_fastfood({in, out}, "test", 3);
    const int64_t n = map.shape.n(), blocks = map.shape.blocks();
    REQUIRE(static_cast<int64_t>(map.order.size()) == blocks * n);
    const Tensor b = normal({2, blocks * n}, 5), g = normal({2, blocks * n}, 6),
                 s = normal({2, blocks * n}, 7), x = normal({2, 3, 4, in}, 8);
    const Tensor got = fastfood(x, map, weight_of(b), weight_of(g), weight_of(s));
    const Tensor h = dense_hadamard(n), unit = at::eye(n, at::TensorOptions(at::kDouble));
    for (int64_t p = 0; p < 2; ++p)
      for (int64_t k = 0; k < blocks; ++k) {
        const auto diagonal = [&](const Tensor& d) { return d[p].narrow(0, k * n, n).diag(); };
        Tensor pi = at::zeros({n, n}, at::kDouble);
        for (int64_t i = 0; i < n; ++i)
          pi[i].copy_(unit[map.order[static_cast<size_t>(k * n + i)]]);
        Tensor dense = diagonal(s);
        for (const Tensor& factor : {h, diagonal(g), pi, h, diagonal(b)})
          dense = at::matmul(dense, factor);
        const int64_t rows = std::min(n, out - k * n);
        const Tensor want = at::matmul(x[p], dense.narrow(0, 0, rows).narrow(1, 0, in).t());
        CHECK(distance(got[p].narrow(-1, k * n, rows), want) < 1e-13);
      }
  }
}

TEST_CASE("fastfood's permutations are permutations, and other ones by layer, block and name") {
  const auto orders = [](const char* name, int64_t layer) {
    return make_fastfood({64, 128}, name, layer).order;
  };
  const std::vector<int64_t> all = orders("up", 0);
  const std::vector<int64_t> first(all.begin(), all.begin() + 64),
      second(all.begin() + 64, all.end());
  CHECK(std::set<int64_t>(first.begin(), first.end()).size() == 64);
  CHECK(*std::max_element(all.begin(), all.end()) == 63);
  CHECK(first != second);
  CHECK(all != orders("up", 1));
  CHECK(all != orders("down", 0));
  CHECK(all == orders("up", 0));
}

TEST_CASE("fastfood in fp32 is fastfood in fp64, with the gradients of its diagonals") {
  const FastfoodMap map = make_fastfood({12, 40}, "test", 0);
  const int64_t size = map.shape.blocks() * map.shape.n();
  const auto op = [&](const std::vector<Tensor>& in, const std::vector<Weight>& w) {
    return std::vector{fastfood(in[0], map, w[0], w[1], w[2])};
  };
  check_twin({.name = "fastfood",
              .inputs = {normal({2, 3, 5, 12}, 1)},
              .weights = {normal({2, size}, 2), normal({2, size}, 3), normal({2, size}, 4)},
              .factors = {.A = 0.7, .A_input = 0.7, .A_weight = 0.7},
              .fused = op,
              .plain = op});
}
