// Rounding against torch's own casts over every code and between them, scales by hand, and the
// fused kernel against its plain twin.
#include "ops/quantise.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/from_blob.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "ops/linear.h"
#include "support/twins.h"

using namespace rung;
using namespace rung::test;

namespace {

Quantiser of(const std::string& text) {
  return parse_quantiser(text, "formats.weight");
}

std::vector<float> floats(const Tensor& t) {
  const Tensor flat = t.to(at::kFloat).contiguous().view({-1});
  return {flat.const_data_ptr<float>(), flat.const_data_ptr<float>() + flat.numel()};
}
Tensor tensor_of(const std::vector<float>& values) {
  return at::from_blob(const_cast<float*>(values.data()),
                       {1, 1, static_cast<int64_t>(values.size())}, at::kFloat)
      .clone();
}

// Every finite number of a torch type, the middles between neighbours and behind the last, and the
// floats on either side of each of these.
Tensor places(at::ScalarType type) {
  const bool byte = at::elementSize(type) == 1;
  std::vector<float> numbers = floats(byte ? at::arange(256, at::kInt).to(at::kByte).view(type)
                                           : at::arange(65536, at::kInt).to(at::kShort).view(type));
  std::erase_if(numbers, [](float x) { return !std::isfinite(x); });
  std::sort(numbers.begin(), numbers.end());
  const size_t count = numbers.size();
  const double last = numbers[count - 1], before = numbers[count - 2];
  for (size_t i = 1; i < count; ++i)
    numbers.push_back(static_cast<float>((static_cast<double>(numbers[i - 1]) + numbers[i]) / 2.0));
  for (const double sign : {-1.0, 1.0})
    for (const double steps : {0.25, 0.5, 0.75, 1.0})
      numbers.push_back(static_cast<float>(sign * (last + steps * (last - before))));
  std::vector<float> all;
  for (const float x : numbers)
    for (const float y : {std::nextafter(x, -std::numeric_limits<float>::infinity()), x,
                          std::nextafter(x, std::numeric_limits<float>::infinity())})
      all.push_back(y);
  return tensor_of(all);
}

// Places at which two tensors differ, all NaN being one.
int64_t differences(const Tensor& a, const Tensor& b) {
  const std::vector<float> x = floats(a), y = floats(b);
  REQUIRE(x.size() == y.size());
  int64_t count = 0;
  for (size_t i = 0; i < x.size(); ++i)
    if (!(x[i] == y[i] || (std::isnan(x[i]) && std::isnan(y[i])))) ++count;
  return count;
}

}  // namespace

TEST_CASE("formats: rounding is torch's cast at every code, every middle and beside them") {
  struct Case {
    const char* text;
    at::ScalarType type;
    int64_t numbers;  // finite, two zeros counted twice
  };
  for (const Case& c :
       {Case{"e4m3 overflow", at::kFloat8_e4m3fn, 254},
        Case{"e5m2 overflow", at::kFloat8_e5m2, 248},
        Case{"e4m3 bias=8 finite overflow", at::kFloat8_e4m3fnuz, 255},
        Case{"e5m2 bias=16 finite overflow", at::kFloat8_e5m2fnuz, 255},
        Case{"fp16 overflow", at::kHalf, 63488}, Case{"bf16 overflow", at::kBFloat16, 65280}}) {
    CAPTURE(c.text);
    const Tensor x = places(c.type);
    CHECK(x.numel() == 3 * (2 * c.numbers - 1 + 8));
    const Tensor cast = x.to(c.type).to(at::kFloat);
    CHECK(differences(quantise(x, of(c.text)), cast) == 0);
    CHECK(differences(quantise_plain(x, of(c.text)), cast) == 0);
    CHECK(differences(quantise_plain(x.to(at::kDouble), of(c.text)), cast) == 0);
  }
}

TEST_CASE("formats: saturation, infinities, NaN and flushed subnormals") {
  const float inf = std::numeric_limits<float>::infinity(),
              nan = std::numeric_limits<float>::quiet_NaN();
  const Tensor x = tensor_of({500.0f, -1e30f, inf, -inf, nan, 0.0f, -0.0f, 0x1p-7f, 0x1.fp-7f});
  struct Case {
    const char* text;
    std::vector<float> wanted;
  };
  for (const Case& c :
       {Case{"e4m3", {448.0f, -448.0f, 448.0f, -448.0f, nan, 0.0f, 0.0f, 0x1p-7f, 0x1p-6f}},
        Case{"e4m3 flush", {448.0f, -448.0f, 448.0f, -448.0f, nan, 0.0f, 0.0f, 0.0f, 0x1p-6f}},
        Case{"e4m3 inf overflow", {inf, -inf, inf, -inf, nan, 0.0f, 0.0f, 0x1p-7f, 0x1p-6f}},
        Case{"e2m1", {6.0f, -6.0f, 6.0f, -6.0f, nan, 0.0f, 0.0f, 0.0f, 0.0f}},
        Case{"int8 scale=64",
             {127.0f / 64, -127.0f / 64, 127.0f / 64, -127.0f / 64, nan, 0.0f, 0.0f, 0.0f,
              0x1p-6f}}}) {
    CAPTURE(c.text);
    CHECK(differences(quantise(x, of(c.text)), tensor_of(c.wanted)) == 0);
    CHECK(differences(quantise_plain(x, of(c.text)), tensor_of(c.wanted)) == 0);
  }
}

TEST_CASE("formats: scales by tensor, channel and block") {
  Tensor x = normal({2, 3, 8}, 1).to(at::kFloat);
  x.select(0, 1).mul_(100.0);
  // One scale a member, so that neighbours do not meet.
  const Tensor both = quantise(x, of("e4m3 tensor"));
  for (const int64_t p : {0, 1})
    CHECK(same_bits(both.narrow(0, p, 1), quantise(x.narrow(0, p, 1), of("e4m3 tensor"))));
  // The largest of what shares a scale becomes the largest number, and comes back as it was.
  for (const char* text : {"e4m3 channel", "int8 channel", "e2m1 block8"})
    CHECK(distance(quantise(x, of(text)).abs().amax({-1}), x.abs().amax({-1})) < 1e-6);
  // 127 steps of a channel's own.
  const Tensor scale = x.abs().amax({-1}, true) / 127.0;
  CHECK(distance(quantise(x, of("int8 channel")), (x / scale).round() * scale) < 1e-6);
  // OCP MX by hand: a block of 5.5 and 7 has its top at 2^2, as E2M1: scale 1, 5.5 to 6, and 7
  // saturates; 0.3 with 0.1: exponent -2, scale 2^4: 4.8 to 4, 1.6 to 1.5.
  CHECK(differences(quantise(tensor_of({5.5f, 7.0f, 0.3f, 0.1f, 0.0f}), of("e2m1 mx2")),
                    tensor_of({6.0f, 6.0f, 0.25f, 0.09375f, 0.0f})) == 0);
  // A power of two below 448 / 3 is 128, at which 3 is a number.
  CHECK(differences(quantise(tensor_of({3.0f, 0.013f}), of("e4m3 tensor pow2")),
                    tensor_of({3.0f, 1.625f / 128.0f})) == 0);
}

TEST_CASE("formats: the fused kernel and its twin are one function, to the bit") {
  const Tensor x = normal({3, 5, 37}, 2).to(at::kFloat) * 30.0;
  for (const char* text :
       {"e4m3", "e5m2 scale=0.37", "e4m3 tensor", "e3m4 channel", "e2m1 mx32", "e2m1 block5",
        "int8 tensor", "int4 block16 pow2", "e8m0", "bf16 stochastic", "e4m3 stochastic",
        "e4m3 channel stochastic", "int4 mx8 stochastic", "e5m2 tensor pow2 flush"}) {
    CAPTURE(text);
    CHECK(same_bits(quantise(x, of(text), 7), quantise_plain(x, of(text), 7)));
  }
}

TEST_CASE("stochastic rounding: to a neighbour, by what lies below, keyed, whatever the company") {
  const int64_t n = 100'000;
  const Quantiser q = of("e4m3 stochastic");
  for (const double value : {1.03, -0.4, 0.001, 300.0}) {
    CAPTURE(value);
    const Tensor x = at::full({1, 1, n}, value, at::kFloat), y = quantise(x, q, 11);
    const double low = y.min().item<double>(), high = y.max().item<double>();
    const double exact = x.select(2, 0).item<double>();
    CHECK(low < exact);
    CHECK(high > exact);
    CHECK((y.eq(low) | y.eq(high)).all().item<bool>());
    // Both are numbers of the format, and neighbours.
    CHECK(same_bits(quantise(y, of("e4m3")), y));
    const double middle = (low + high) / 2.0;
    const double share = (exact - low) / (high - low);
    CHECK(quantise(at::full({1, 1, 1}, middle, at::kFloat), of("e4m3")).item<double>() != middle);
    CHECK(std::abs((y.mean(at::kDouble).item<double>() - exact) / (high - low)) <
          5.0 * std::sqrt(share * (1.0 - share) / static_cast<double>(n)));
    CHECK(same_bits(y, quantise(x, q, 11)));
    CHECK_FALSE(same_bits(y, quantise(x, q, 12)));
    CHECK(same_bits(quantise(x.expand({3, 1, n}).contiguous(), q, 11).narrow(0, 2, 1), y));
  }
}
