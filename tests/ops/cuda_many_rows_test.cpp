// Gradients of several matrices that are sums over many rows, in one launch, against fp64.
#ifdef RUNG_CUDA
#include <ATen/ops/full.h>

#include <cmath>

#include "ops/cuda/hopper/few_rows.h"
#include "ops/cuda/hopper/many_rows.h"
#include "ops/cuda/tensor.h"
#include "support/no_gpu.h"
#include "support/twins.h"

using namespace rung;
using namespace rung::test;

namespace {

struct Outputs {
  int64_t out, in;
};

Tensor half_rows(const std::vector<int64_t>& sizes, uint64_t seed) {
  return normal(sizes, seed).to(at::kCUDA).to(at::kBFloat16);
}

// A view of a wider buffer that holds no number, as the arena's are.
Tensor unwritten(int64_t members, const Outputs& o) {
  const Tensor all = at::full({members, o.out * o.in + 256}, std::nan(""),
                              at::device(at::kCUDA).dtype(at::kFloat));
  return all.as_strided({members, o.out, o.in}, {all.size(1), o.in, 1}, 128);
}

// Whether nobody has written the rest.
bool rest_is_unwritten(const Tensor& gradient) {
  const int64_t own = gradient.size(1) * gradient.size(2);
  const Tensor all = gradient.as_strided({gradient.size(0), own + 256}, {own + 256, 1}, 0);
  return all.narrow(1, 0, 128).isnan().all().item<bool>() &&
         all.narrow(1, 128 + own, 128).isnan().all().item<bool>();
}

void sum_into(const std::vector<Tensor>& gradients, const std::vector<Tensor>& dy,
              const std::vector<Tensor>& x, bool adds) {
  cuda::RowSums sums{.members = x[0].size(0),
                     .rows = x[0].size(1),
                     .count = static_cast<int>(x.size()),
                     .sums = {}};
  for (size_t i = 0; i < x.size(); ++i)
    sums.sums[i] = {.dy = cuda::data(dy[i]),
                    .x = cuda::data(x[i]),
                    .out = dy[i].size(2),
                    .in = x[i].size(2),
                    .gradient = cuda::floats(gradients[i]),
                    .member_stride = gradients[i].stride(0),
                    .factor = 0.5f,
                    .adds = adds};
  const Tensor space =
      at::full({cuda::many_row_sums_space(sums)}, std::nan(""), gradients[0].options());
  cuda::add_many_row_sums(sums, cuda::floats(space), cuda::stream());
}

void check_many_rows(int64_t members, int64_t rows, const std::vector<Outputs>& outputs) {
  CAPTURE(members);
  CAPTURE(rows);
  std::vector<Tensor> dy, x, gradients, exact, once;
  for (size_t i = 0; i < outputs.size(); ++i) {
    dy.push_back(half_rows({members, rows, outputs[i].out}, 2 * i + 1));
    x.push_back(half_rows({members, rows, outputs[i].in}, 2 * i + 2));
    gradients.push_back(unwritten(members, outputs[i]));
    exact.push_back(dy[i].to(at::kDouble).transpose(1, 2).matmul(x[i].to(at::kDouble)) * 0.5);
  }
  sum_into(gradients, dy, x, false);
  for (size_t i = 0; i < outputs.size(); ++i) {
    CAPTURE(i);
    CHECK(distance(gradients[i], exact[i]) < 1e-5);
    CHECK(rest_is_unwritten(gradients[i]));
    once.push_back(gradients[i].clone());
  }
  sum_into(gradients, dy, x, true);
  for (size_t i = 0; i < outputs.size(); ++i) CHECK(distance(gradients[i], exact[i] * 2.0) < 1e-5);
  sum_into(gradients, dy, x, false);
  for (size_t i = 0; i < outputs.size(); ++i) CHECK(same_bits(gradients[i], once[i]));
}

}  // namespace

TEST_CASE("sums of many rows on the GPU, several matrices in one launch") {
  if (no_gpu()) return;
  // A layer of width 256; tiles and stages partly filled; fewer rows than parts.
  check_many_rows(1, 8192, {{1536, 256}, {256, 768}, {256, 256}, {768, 256}});
  check_many_rows(3, 8201, {{136, 264}, {8, 256}});
  check_many_rows(2, 30, {{128, 520}, {264, 8}, {128, 256}});
  check_many_rows(1, 9000, {{200, 304}});
}

TEST_CASE("which sums of many rows are one launch") {
  if (no_gpu()) return;
  const auto sums = [](int64_t members, int64_t rows, const std::vector<Outputs>& outputs) {
    cuda::RowSums s{
        .members = members, .rows = rows, .count = static_cast<int>(outputs.size()), .sums = {}};
    for (size_t i = 0; i < outputs.size(); ++i)
      s.sums[i].out = outputs[i].out, s.sums[i].in = outputs[i].in;
    return s;
  };
  CHECK(cuda::fits_many_row_sums(sums(1, 8192, {{1536, 256}, {256, 768}})));
  CHECK_FALSE(cuda::fits_many_row_sums(sums(1, 8192, {{1536, 256}})));
  CHECK_FALSE(cuda::fits_many_row_sums(sums(1, 4096, {{1536, 256}, {256, 768}})));
  CHECK_FALSE(cuda::fits_many_row_sums(sums(1, 8192, {{1536, 256}, {256, 128}})));
  CHECK_FALSE(cuda::fits_many_row_sums(sums(8, 8192, {{1536, 256}, {256, 768}})));  // tiles enough
}

TEST_CASE("a list of matrices' gradients of many rows on the GPU, as one product each") {
  if (no_gpu()) return;
  const std::vector<Outputs> outputs{{512, 256}, {256, 256}};
  std::vector<Weight> together, alone;
  std::vector<cuda::WeightGradient> list;
  std::vector<Tensor> dy, x;
  for (size_t i = 0; i < outputs.size(); ++i) {
    const auto [out, in] = outputs[i];
    dy.push_back(half_rows({1, 8192, out}, 2 * i + 1));
    x.push_back(half_rows({1, 8192, in}, 2 * i + 2));
    for (std::vector<Weight>* weights : {&together, &alone})
      weights->push_back({.value = half_rows({1, out, in}, 9),
                          .gradient = normal({1, out, in}, 8).to(at::kCUDA).to(at::kFloat),
                          .A_weight = 2.0});
  }
  for (size_t i = 0; i < outputs.size(); ++i) {
    list.push_back({together[i], dy[i], x[i], 0.25});
    cuda::add_weight_gradients({{alone[i], dy[i], x[i], 0.25}});
  }
  cuda::add_weight_gradients(list);
  for (size_t i = 0; i < outputs.size(); ++i)
    CHECK(distance(together[i].gradient, alone[i].gradient) < 1e-5);
}
#endif
