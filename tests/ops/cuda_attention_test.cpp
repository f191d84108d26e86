// Attention on the GPU beyond the table of cuda_test.cpp.
#ifdef RUNG_CUDA
#include <ATen/ops/arange.h>

#include <cmath>

#include "ops/attention.h"
#include "ops/cuda/library_attention.h"
#include "support/attention_twin.h"
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
    check_on_gpu(
        attention_twin(fmt::format("attention T={} heads={} dim={}", c.time, c.heads, c.head_dim),
                       normal({1, 6, c.time, 3 * c.heads * c.head_dim}, 3), o, true),
        1.5e-2);
  }
}

// Heads that outnumber the multiprocessors have kernels of their own, but for keys that are offset;
// so have those that are at most half as many, which two blocks share.
// Where all scores lie far from 0, which changes no result, powers of two overflow or underflow and
// a running maximum takes over; lengths end within a tile, within a pair of tiles and within a
// block's only tile.
TEST_CASE("attention of many short heads, and of few, on the GPU equals its twin") {
  if (no_gpu()) return;
  struct Case {
    int64_t sequences, time, heads, head_dim;
    bool rope = true, key_offset = false;
    double far = 0.0;  // first element of all keys, and of queries in size
  };
  for (const Case& c :
       {Case{80, 256, 2, 16}, Case{80, 256, 2, 32}, Case{50, 250, 3, 16}, Case{50, 250, 3, 32},
        Case{150, 77, 1, 16}, Case{150, 130, 1, 32}, Case{40, 5, 4, 32, false},
        Case{40, 48, 4, 16, false}, Case{50, 250, 3, 32, false, false, 21.0},
        Case{150, 77, 1, 16, false, false, -21.0}, Case{40, 33, 4, 16, false, false, 21.0},
        Case{50, 250, 3, 16, true, true}, Case{50, 100, 3, 32, true, true},
        // few heads
        Case{16, 256, 4, 16}, Case{16, 256, 4, 32}, Case{3, 250, 3, 16}, Case{3, 77, 3, 32},
        Case{2, 130, 1, 32}, Case{1, 17, 1, 16}, Case{2, 5, 4, 32, false},
        Case{2, 48, 4, 16, false}, Case{3, 250, 3, 32, false, false, 21.0},
        Case{5, 77, 1, 16, false, false, -21.0}, Case{4, 33, 4, 16, false, false, 21.0},
        Case{5, 100, 3, 32, true, true}}) {
    const AttentionOptions o{.heads = c.heads,
                             .kv_heads = c.heads,
                             .head_dim = c.head_dim,
                             .logit = 1.0 / std::sqrt(static_cast<double>(c.head_dim)),
                             .forward = 1.2,
                             .backward = 0.8,
                             .key_offset = c.key_offset};
    const int64_t width = c.heads * c.head_dim;
    const Tensor qkv = normal({1, c.sequences, c.time, 3 * width}, 3);
    if (c.far != 0.0)
      for (int64_t head = 0; head < c.heads; ++head) {
        qkv.select(3, head * c.head_dim).fill_(std::abs(c.far));
        qkv.select(3, width + head * c.head_dim).fill_(c.far);
      }
    check_on_gpu(attention_twin(fmt::format("attention of {} heads of {}, T={}",
                                            c.sequences * c.heads, c.head_dim, c.time),
                                qkv, o, c.rope),
                 1.5e-2, c.far == 0.0 ? 1e-5 : 1e-4);
  }
}

// Heads of 64: over 65 to 512 and to 1,024 positions by kernels of our own on Hopper devices, over
// more, or by heads that leave multiprocessors idle, by the library's forward pass and gradients of
// our own. Lengths end within a tile of 64, with a tile and with a block of two, in each of a
// round's four tiles; there are fewer heads than multiprocessors and more. Scores that rise by
// hundreds make powers overflow but for references that move, and fp32 has a digit less for what is
// behind the point.
TEST_CASE("attention of heads of 64 on the GPU equals its twin") {
  if (no_gpu()) return;
  struct Case {
    int64_t sequences, time, heads;
    bool rope = true;
    double forward = 1.2;
    double rise = 0.0;  // a score grows by rise / 64 with each position of the key
  };
  for (const Case& c : {Case{70, 256, 4},
                        Case{2, 256, 3, false},
                        Case{3, 1, 2},
                        Case{2, 17, 5},
                        Case{2, 64, 1},
                        Case{150, 100, 2},
                        Case{1, 130, 3},
                        Case{2, 200, 2, false, 0.4},
                        Case{2, 200, 2, false, 1.2, 4.0},
                        Case{2, 256, 2, false, 1.2, 26.0},
                        Case{2, 256, 2, false, 1.2, -26.0},
                        Case{2, 300, 3},
                        Case{1, 320, 2, true, 1.0},
                        Case{3, 384, 2, false},
                        Case{1, 512, 2},
                        Case{1, 1000, 2},
                        Case{40, 257, 4},
                        Case{1, 513, 3},
                        Case{2, 600, 2, false},
                        Case{1, 700, 2, true, 1.0},
                        Case{2, 768, 1},
                        Case{1, 1024, 2},
                        Case{1, 960, 2, false, 1.2, 7.0},
                        Case{1, 640, 1, false, 1.2, -26.0},
                        Case{70, 530, 3},
                        Case{47, 520, 3},
                        Case{1, 1100, 1}}) {
    const AttentionOptions o{.heads = c.heads,
                             .kv_heads = c.heads,
                             .head_dim = 64,
                             .logit = 0.125,
                             .forward = c.forward,
                             .backward = 0.8};
    const int64_t width = 64 * c.heads;
    const Tensor qkv = normal({1, c.sequences, c.time, 3 * width}, 3);
    if (c.rise != 0.0)
      for (int64_t head = 0; head < c.heads; ++head) {
        qkv.select(3, 64 * head).fill_(c.rise);
        qkv.select(3, width + 64 * head).copy_(at::arange(c.time, qkv.options()) / 8);
      }
    check_on_gpu(attention_twin(fmt::format("attention of {} heads of 64, T={}",
                                            c.sequences * c.heads, c.time),
                                qkv, o, c.rope),
                 1.5e-2, c.rise == 0.0 ? 1e-5 : 1e-4);
  }
}

// Large enough that blocks which add to one place meet in another order each time.
TEST_CASE("attention on the GPU repeats to the bit, or adds in any order") {
  if (no_gpu()) return;
  struct Shape {
    int64_t sequences, time, heads, head_dim;
  };
  for (const Shape& s : {Shape{8, 1024, 12, 64}, Shape{2, 2048, 16, 128}, Shape{2, 300, 3, 64},
                         Shape{64, 256, 4, 64}}) {
    CAPTURE(s.head_dim);
    const AttentionOptions o{.heads = s.heads,
                             .kv_heads = s.heads,
                             .head_dim = s.head_dim,
                             .logit = 1.0 / std::sqrt(static_cast<double>(s.head_dim))};
    const auto of = [&](int64_t heads, uint64_t seed) {
      return normal({1, s.sequences, s.time, heads * s.head_dim}, seed)
          .to(at::kCUDA)
          .to(at::kBFloat16);
    };
    const Tensor qkv = of(3 * s.heads, 3), up = of(s.heads, 4);
    const Rope rope = make_rope(s.time, s.head_dim, qkv.options().dtype(at::kFloat));
    const auto gradient = [&](bool any_order) {
      const cuda::AnyOrder order(any_order);
      const Tensor x = qkv.clone().requires_grad_();
      attention(x, rope, o).backward(up);
      return x.grad();
    };
    const Tensor first = gradient(false);
    for (int i = 0; i < 8; ++i) CHECK(same_bits(gradient(false), first));
    // Twice through the same graph, in bf16: what a pass leaves behind is ready for the next one.
    const Tensor x = qkv.clone().requires_grad_(), y = attention(x, rope, o);
    y.backward(up, true);
    y.backward(up);
    CHECK(same_bits(x.grad(), first + first));
    const Tensor other = gradient(true).to(at::kDouble), want = first.to(at::kDouble);
    CHECK((other - want).norm().item<double>() < 6e-3 * want.norm().item<double>());
  }
}

TEST_CASE("attention on the GPU may rotate queries and keys where they lie") {
  if (no_gpu()) return;
  for (const auto& [kv_heads, time] :
       std::vector<std::pair<int64_t, int64_t>>{{4, 300}, {2, 300}, {4, 250}, {4, 700}}) {
    AttentionOptions o{.heads = 4, .kv_heads = kv_heads, .head_dim = 64, .logit = 0.125};
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
