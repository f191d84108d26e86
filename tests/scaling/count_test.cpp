#include "scaling/count.h"

#include <doctest/doctest.h>

using namespace rung;

namespace {

TensorSpec matrix(Role role, int64_t out, int64_t in, bool counts = true) {
  TensorSpec tensor;
  tensor.role = role;
  tensor.shape = {out, in};
  tensor.counts_in_N = counts;
  return tensor;
}

}  // namespace

TEST_CASE("a small decoder counted by hand") {
  // Width 8, vocabulary 10, one block: q, k, v, o 8x8; gate, up 24x8; down 8x24; a gain of 8.
  TensorSpec gain;
  gain.role = Role::gain;
  gain.shape = {8};
  std::vector<TensorSpec> tensors = {matrix(Role::embedding, 10, 8, false),
                                     matrix(Role::readout, 10, 8), gain};
  for (int i = 0; i < 4; ++i) tensors.push_back(matrix(Role::hidden, 8, 8));
  for (int i = 0; i < 3; ++i) tensors.push_back(matrix(Role::hidden, 24, 8));
  const Counts counts = count(tensors);
  CHECK(counts.N_embedding == 80);
  CHECK(counts.N_readout == 80);
  CHECK(counts.N == 4 * 64 + 3 * 192 + 80 + 8);
  CHECK(counts.N_total == counts.N + 80);
  CHECK(counts.N_active == counts.N);
  // Two heads of 4 over a context of 5: tokens see 1..5 keys, mean 3, 2 products of 2 x 8 each.
  const double attention = attention_flops_per_token(5, 2, 4);
  CHECK(attention == 3 * 2 * 2 * 8);
  const double forward = forward_flops_per_token(tensors, attention);
  CHECK(forward == 2 * (4 * 64 + 3 * 192 + 80) + 96);
  CHECK(training_flops(tensors, attention, 1000) == 3000 * forward);
  CHECK(flops_6nd(counts.N, 1000) == 6000.0 * 920);
}

TEST_CASE("attention's closed form is the sum over positions") {
  for (const int64_t context : {1, 2, 7, 128}) {
    double sum = 0.0;
    for (int64_t t = 1; t <= context; ++t) sum += 2.0 * 2.0 * static_cast<double>(t * 3 * 16);
    CHECK(attention_flops_per_token(context, 3, 16) ==
          doctest::Approx(sum / static_cast<double>(context)));
  }
}

TEST_CASE("tied matrices count once in N, mixtures by their active share") {
  std::vector<TensorSpec> tensors = {matrix(Role::tied, 10, 8), matrix(Role::hidden, 80, 8)};
  tensors[1].active = 0.25;
  const Counts counts = count(tensors);
  CHECK(counts.N == 80 + 160);
  CHECK(counts.N_total == 80 + 640);
  CHECK(counts.N_embedding == 80);
  CHECK(counts.N_readout == 80);
  CHECK(forward_flops_per_token(tensors, 0) == 2 * 240);
}
