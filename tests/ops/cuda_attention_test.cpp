// Attention on the GPU beyond the table of cuda_test.cpp.
#ifdef RUNG_CUDA
#include <cmath>

#include "ops/attention.h"
#include "support/no_gpu.h"
#include "support/on_gpu.h"

using namespace rung;
using namespace rung::test;

// Heads of 40 to 64 over more than 128 positions: a warp of the backward kernel has two tiles.
TEST_CASE("attention of longer short heads on the GPU equals its twin") {
  if (no_gpu()) return;
  struct Case {
    int64_t time, heads, head_dim;
    bool key_offset;
  };
  for (const Case& c :
       {Case{256, 24, 64, false}, Case{250, 3, 64, true}, Case{144, 24, 48, false}}) {
    const AttentionOptions o{.heads = c.heads,
                             .kv_heads = c.heads,
                             .head_dim = c.head_dim,
                             .logit = 1.0 / std::sqrt(static_cast<double>(c.head_dim)),
                             .forward = 1.2,
                             .backward = 0.8,
                             .key_offset = c.key_offset};
    const auto op = [=](auto function) {
      return [=](const std::vector<Tensor>& x, const std::vector<Weight>&) {
        const auto options =
            x[0].options().requires_grad(false).dtype(x[0].is_cuda() ? at::kFloat : at::kDouble);
        return std::vector<Tensor>{function(x[0], make_rope(c.time, c.head_dim, options), o)};
      };
    };
    check_on_gpu(
        {.name = fmt::format("attention T={} heads={} dim={}", c.time, c.heads, c.head_dim),
         .inputs = {normal({1, 6, c.time, 3 * c.heads * c.head_dim}, 3)},
         .weights = {},
         .fused = op(attention),
         .plain = op(attention_plain)},
        1.5e-2);
  }
}

TEST_CASE("attention on the GPU may rotate queries and keys where they lie") {
  if (no_gpu()) return;
  for (const int64_t kv_heads : {4, 2}) {
    AttentionOptions o{.heads = 4, .kv_heads = kv_heads, .head_dim = 64, .logit = 0.125};
    const int64_t time = 300;
    const Tensor start =
        normal({1, 2, time, (4 + 2 * kv_heads) * 64}, 3).to(at::kCUDA).to(at::kBFloat16);
    const Tensor up = normal({1, 2, time, 256}, 4).to(at::kCUDA).to(at::kBFloat16);
    const Rope rope = make_rope(time, 64, start.options().dtype(at::kFloat));
    const auto run = [&](bool overwrite) {
      o.overwrite = overwrite;
      const Tensor x = start.clone().requires_grad_();
      const Tensor qkv = x * 1.0;
      const Tensor y = attention(qkv, rope, o);
      CHECK(same_bits(qkv.detach(), start) == !overwrite);
      y.backward(up);
      return std::pair{y.detach(), x.grad()};
    };
    const auto [there, there_gradient] = run(true);
    const auto [apart, apart_gradient] = run(false);
    CHECK(same_bits(there, apart));
    CHECK(same_bits(there_gradient, apart_gradient));
  }
}
#endif
