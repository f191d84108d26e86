#include "ops/attention.h"

#include "support/attention_twin.h"

using namespace rung;
using namespace rung::test;

namespace {

struct Case {
  int64_t members, batch, time, heads, kv_heads, head_dim;
  bool rope;
  double logit, forward, backward;
  bool key_offset = false;
};

const std::vector<Case> cases{
    {1, 1, 16, 1, 1, 16, true, 0.25, 1.0, 1.0},        // everything even
    {1, 2, 1, 2, 2, 8, true, 0.35, 1.0, 1.0},          // one token
    {2, 1, 3, 2, 1, 4, true, 0.5, 1.0, 1.0},           // shorter than a block of rows; MQA
    {1, 2, 19, 4, 2, 6, true, 0.4, 1.0, 1.0},          // ragged time and head, GQA
    {2, 2, 37, 6, 2, 20, true, 0.2, 1.7, 0.6},         // split factors
    {1, 1, 65, 3, 3, 24, false, 0.2, 1.0, 1.0},        // no rotation
    {1, 1, 33, 4, 1, 17, false, 0.1, 2.0, 2.0},        // odd head without rotation, MQA
    {1, 1, 130, 2, 2, 40, true, 1.0, 0.3, 3.0},        // sharp
    {3, 1, 7, 5, 5, 2, true, 0.7, 1.0, 1.0},           // the smallest rotated head
    {2, 2, 37, 6, 2, 20, true, 0.2, 1.7, 0.6, true},   // keys offset, GQA
    {1, 2, 1, 2, 2, 8, true, 0.35, 1.0, 1.0, true},    // one token: nothing before it
    {1, 1, 2, 2, 1, 24, true, 0.35, 1.0, 1.0, true},   // two: the first serves both
    {1, 1, 33, 4, 1, 17, false, 0.1, 2.0, 2.0, true},  // odd head without rotation
};

Twin twin_of(const Case& c) {
  const AttentionOptions options{.heads = c.heads,
                                 .kv_heads = c.kv_heads,
                                 .head_dim = c.head_dim,
                                 .logit = c.logit,
                                 .forward = c.forward,
                                 .backward = c.backward,
                                 .key_offset = c.key_offset};
  return attention_twin(
      fmt::format("attention P={} T={} heads={}/{} dim={}", c.members, c.time, c.heads, c.kv_heads,
                  c.head_dim),
      normal({c.members, c.batch, c.time, (c.heads + 2 * c.kv_heads) * c.head_dim}, 3), options,
      c.rope);
}

}  // namespace

TEST_CASE("attention equals its plain twin") {
  for (const Case& c : cases) check_twin(twin_of(c));
}

TEST_CASE("attention is causal, and a lone token returns its value") {
  const AttentionOptions options{.heads = 2, .kv_heads = 2, .head_dim = 6, .logit = 0.4};
  const Tensor qkv = normal({1, 1, 21, 36}, 4).to(at::kFloat);
  const Rope rope = make_rope(21, 6, qkv.options());
  const Tensor before = attention(qkv, rope, options);
  CHECK(distance(before.select(2, 0), qkv.select(2, 0).narrow(-1, 24, 12)) < 1e-6);
  Tensor changed = qkv.clone();
  changed.narrow(2, 13, 8).mul_(-3.0);
  const Tensor after = attention(changed, rope, options);
  CHECK(same_bits(before.narrow(2, 0, 13), after.narrow(2, 0, 13)));
  CHECK(distance(after.narrow(2, 13, 8), before.narrow(2, 13, 8)) > 0.1);
}

TEST_CASE("logits far apart neither overflow nor vanish") {
  Twin twin = twin_of({1, 1, 18, 1, 1, 4, true, 1.0, 1.0, 1.0});
  twin.inputs[0] = twin.inputs[0] * 8.0;
  check_twin(twin, 2e-4);  // scores near 100 in fp32
}

TEST_CASE("rotary scores depend on distance alone, from any start") {
  const Rope rope = make_rope(12, 8, at::TensorOptions().dtype(at::kDouble));
  const Rope later = make_rope(5, 8, at::TensorOptions().dtype(at::kDouble), {}, 7);
  CHECK(distance(later.cosine, rope.cosine.narrow(0, 7, 5)) < 1e-14);
  CHECK(distance(later.sine, rope.sine.narrow(0, 7, 5)) < 1e-14);
  CHECK(rope.cosine[3][1].item<double>() ==
        doctest::Approx(std::cos(3.0 * std::pow(10000.0, -0.25))));
}

TEST_CASE("offset keys hold the slow pairs of the position before") {
  const AttentionOptions options{.heads = 1, .kv_heads = 2, .head_dim = 8};
  const Tensor qkv = normal({1, 1, 4, 40}, 12);
  const Tensor y = offset_keys(qkv, options);
  CHECK(same_bits(y.narrow(-1, 0, 8), qkv.narrow(-1, 0, 8)));      // queries
  CHECK(same_bits(y.narrow(-1, 24, 16), qkv.narrow(-1, 24, 16)));  // values
  for (const int64_t key : {8, 16})
    for (const int64_t pair : {0, 1, 2, 3})
      for (const int64_t half : {0, 4}) {
        const int64_t at = key + pair + half;
        const Tensor now = y.select(-1, at), was = qkv.select(-1, at);
        if (pair < 2) CHECK(same_bits(now, was));
        if (pair >= 2) {
          CHECK(same_bits(now.narrow(2, 1, 3), was.narrow(2, 0, 3)));
          CHECK(same_bits(now.narrow(2, 0, 1), was.narrow(2, 0, 1)));
        }
      }
}

TEST_CASE("qk_norm gives every query and key head unit mean square and leaves values") {
  const AttentionOptions options{.heads = 4, .kv_heads = 2, .head_dim = 6};
  const Tensor qkv = normal({2, 1, 3, 48}, 9);
  const Tensor y = qk_norm(qkv, options, {}, {}, {});
  const Tensor heads = y.narrow(-1, 0, 36).reshape({2, 1, 3, 6, 6});
  CHECK(distance((heads * heads).mean({-1}), at::ones({2, 1, 3, 6}, at::kDouble)) < 1e-4);
  CHECK(same_bits(y.narrow(-1, 36, 12), qkv.narrow(-1, 36, 12)));
}

TEST_CASE("qk_norm over the width normalises all heads at once, times gains of that width") {
  const AttentionOptions options{.heads = 4, .kv_heads = 2, .head_dim = 6};
  const Tensor qkv = normal({2, 1, 3, 48}, 9);
  const Weight q{.value = normal({2, 24}, 10)}, k{.value = normal({2, 12}, 11)};
  const Tensor y = qk_norm(qkv, options, {.epsilon = 0.5, .whole = true}, q, k);
  const auto want = [&](int64_t begin, int64_t size, const Weight& gain) {
    const Tensor x = qkv.narrow(-1, begin, size);
    const Tensor root = ((x * x).sum({-1}, true) / static_cast<double>(size) + 0.5).sqrt();
    return x / root * gain.value.view({2, 1, 1, size});
  };
  CHECK(distance(y.narrow(-1, 0, 24), want(0, 24, q)) < 1e-14);
  CHECK(distance(y.narrow(-1, 24, 12), want(24, 12, k)) < 1e-14);
  CHECK(same_bits(y.narrow(-1, 36, 12), qkv.narrow(-1, 36, 12)));
}

TEST_CASE("a window of w tokens is attention over the last w, with capped scores") {
  const int64_t time = 9, window = 3, dim = 4;
  const double cap = 0.8;
  const AttentionOptions options{.head_dim = dim, .logit = 0.6, .window = window, .cap = cap};
  const Tensor qkv = normal({1, 1, time, 3 * dim}, 14);
  const Tensor y = attention(qkv, {}, options);
  const Heads h = split_heads(qkv, options);
  for (int64_t t = 0; t < time; ++t) {
    const int64_t begin = std::max<int64_t>(0, t - window + 1), count = t + 1 - begin;
    const Tensor q = h.q.select(2, t).view({1, dim});
    const Tensor k = h.k.narrow(2, begin, count).view({count, dim});
    const Tensor v = h.v.narrow(2, begin, count).view({count, dim});
    const Tensor scores = (q.matmul(k.t()) * (0.6 / cap)).tanh() * cap;
    CHECK(distance(y.select(2, t).view({1, dim}), scores.softmax(-1).matmul(v)) < 1e-14);
  }
  AttentionOptions wide = options;
  wide.window = time;
  wide.cap = 0.0;
  const AttentionOptions all{.head_dim = dim, .logit = 0.6};
  const Tensor single = qkv.to(at::kFloat);
  CHECK(same_bits(attention(single, {}, wide), attention(single, {}, all)));
}

TEST_CASE("the cache of a window holds what the next token sees") {
  const AttentionOptions options{.head_dim = 2, .window = 4};
  KeyValues past;
  attention_after(normal({1, 1, 7, 6}, 15), {}, options, past);
  CHECK(past.k.size(2) == 3);
  attention_after(normal({1, 1, 1, 6}, 16), {}, options, past);
  CHECK(past.v.size(2) == 3);
}

TEST_CASE("scaled frequencies: all of them, or those that turn slowly over the original context") {
  const auto angle = [](const RopeOptions& rope, int64_t pair) {
    const Rope r = make_rope(2, 8, at::TensorOptions().dtype(at::kDouble), rope);
    return std::atan2(r.sine[1][pair].item<double>(), r.cosine[1][pair].item<double>());
  };
  const auto plain = [](int64_t pair) { return std::pow(100.0, -static_cast<double>(pair) / 4.0); };
  const RopeOptions linear{.theta = 100.0, .factor = 8.0};
  for (const int64_t pair : {0, 3})
    CHECK(angle(linear, pair) == doctest::Approx(plain(pair) / 8.0));
  // Turns over 20 tokens: 3.18, 1.01, 0.318, 0.101.
  const RopeOptions llama3{.theta = 100.0, .factor = 8.0, .original = 20, .low = 0.2, .high = 2.0};
  CHECK(angle(llama3, 0) == doctest::Approx(plain(0)));
  CHECK(angle(llama3, 3) == doctest::Approx(plain(3) / 8.0));
  const double kept = (20.0 * plain(1) / (2.0 * 3.14159265358979) - 0.2) / 1.8;
  CHECK(angle(llama3, 1) == doctest::Approx(plain(1) * ((1.0 - kept) / 8.0 + kept)));
}

TEST_CASE("attention_scores: logit q.k of each query head with its group's key") {
  const AttentionOptions options{.heads = 4, .kv_heads = 2, .head_dim = 3, .logit = 0.7};
  const Tensor qkv = normal({1, 2, 5, 8 * 3}, 1);
  const Tensor scores = attention_scores(qkv, Rope{}, options);
  CHECK(scores.sizes().vec() == std::vector<int64_t>{1, 2, 4, 5, 5});
  const Heads h = split_heads(qkv, options);
  for (int64_t head = 0; head < 4; ++head) {
    const Tensor q = h.q.select(3, head).select(1, 1).select(1, 4);
    const Tensor k = h.k.select(3, head / 2).select(1, 1).select(1, 2);
    CHECK(distance(scores.select(2, head).select(1, 1).select(1, 4).select(1, 2),
                   (q * k).sum(1) * 0.7) < 1e-12);
  }
}
