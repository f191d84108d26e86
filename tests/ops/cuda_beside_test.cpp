// Work that runs beside a stream: the same bits as without it.
#ifdef RUNG_CUDA
#include "ops/cross_entropy.h"
#include "ops/cuda/company.h"
#include "ops/linear.h"
#include "ops/mlp.h"
#include "ops/norm_linear.h"
#include "support/on_gpu.h"

using namespace rung;
using namespace rung::test;

namespace {

struct Chain {
  int64_t width, inner, rows;
  bool tied;
};

enum class Beside { nothing, order, sums };

// Gradients of a chain of one block on a stream with or without company: embedding, norm and map,
// map, ffn's step, loss. Three passes add up.
std::vector<Tensor> gradients(const Chain& c, Beside what) {
  const auto stream = c10::cuda::getStreamFromPool(true);
  const c10::cuda::CUDAStreamGuard guard(stream);
  std::optional<cuda::Company> beside;
  if (what != Beside::nothing) beside.emplace(stream, what == Beside::sums);
  const int64_t members = 2, vocabulary = 300;
  const auto made = [&](std::vector<int64_t> shape, uint64_t seed) {
    return normal(shape, seed).to(at::kBFloat16).to(at::kCUDA);
  };
  const auto weight = [&](std::vector<int64_t> shape, uint64_t seed) {
    const Tensor value = in_arena(made(shape, seed) * 0.1);
    return Weight{.value = value,
                  .gradient = in_arena(at::zeros(shape, value.options().dtype(at::kFloat)))};
  };
  const Weight table = weight({members, vocabulary, c.width}, 1),
               qkv = weight({members, 3 * c.width, c.width}, 2),
               out = weight({members, c.width, 3 * c.width}, 3),
               first = weight({members, 2 * c.inner, c.width}, 4),
               second = weight({members, c.width, c.inner}, 5),
               readout = c.tied ? table : weight({members, vocabulary, c.width}, 6);
  const Tensor tokens = ids({members, 2, c.rows}, vocabulary, 7).to(at::kCUDA);
  for (int pass = 0; pass < 3; ++pass) {
    const auto [h, maps] = norm_linear(embedding(tokens, table), qkv, {});
    const Tensor f = linear(maps, out);
    const Tensor x = mlp_step(h, f, {.first = first, .second = second}, {}).stream;
    linear_cross_entropy(x, readout, tokens, {}).sum().backward();
  }
  if (beside) beside->join();
  stream.synchronize();
  std::vector<Tensor> found;
  for (const Weight* w : {&table, &qkv, &out, &first, &second, &readout})
    found.push_back(w->gradient.to(at::kCPU));
  return found;
}

}  // namespace

TEST_CASE("gradients summed beside the stream are the same bits") {
  if (no_gpu()) return;
  for (const Chain& c : std::vector<Chain>{{64, 72, 500, false},
                                           {64, 192, 1024, true},
                                           {128, 136, 500, false},
                                           {128, 384, 1024, true},
                                           {48, 72, 200, true},
                                           {256, 256, 9000, true}}) {
    CAPTURE(c.width);
    CAPTURE(c.tied);
    const std::vector<Tensor> alone = gradients(c, Beside::nothing),
                              order = gradients(c, Beside::order),
                              beside = gradients(c, Beside::sums);
    for (size_t i = 0; i < alone.size(); ++i) {
      CAPTURE(i);
      CHECK(alone[i].equal(order[i]));
      CHECK(alone[i].equal(beside[i]));
      CHECK(alone[i].abs().sum().item<double>() > 0.0);
    }
  }
}
#endif
