// One moment's codes: E4M3 and bf16 against LibTorch's, draws against the tensors' twin, and that
// rounding by draws is right on average.
#include "ops/moments.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/from_blob.h>

#include "core/quantiser.h"
#include "ops/quantise.h"
#include "support/twins.h"

using namespace rung;
using namespace rung::test;

TEST_CASE("moments: every code of E4M3 is read as LibTorch reads it and written as it was") {
  std::vector<uint8_t> codes;
  for (int code = 0; code < 256; ++code)
    if ((code & 127) != 127) codes.push_back(static_cast<uint8_t>(code));  // NaN
  const auto size = static_cast<int64_t>(codes.size());
  const Tensor want =
      at::from_blob(codes.data(), {size}, at::kByte).view(at::kFloat8_e4m3fn).to(at::kFloat);
  for (int64_t i = 0; i < size; ++i) {
    const uint8_t code = codes[static_cast<size_t>(i)];
    const float value = from_e4m3(code);
    CHECK(value == want[i].item<float>());
    CHECK(std::signbit(value) == (code >= 128));
    CHECK(to_e4m3(value, false, 0) == code);
    CHECK(to_e4m3(value, true, 0x7fffffffu) == code);  // what lies on the grid stays there
  }
  CHECK(to_e4m3(1e9f, true, 0xffffffffu) == 0x7e);
}

TEST_CASE("moments: the grid of kernels is that of the format's name") {
  const Grid grid = parse_quantiser("e4m3 block128 pow2", "test").grid;
  const Rounding r = moment_grid(true);
  CHECK(r.mantissa_bits == grid.mantissa_bits);
  CHECK(r.lowest == grid.lowest);
  CHECK(r.largest == grid.largest);
  CHECK(r.beyond == grid.beyond);
  CHECK(r.smallest == grid.smallest);
  CHECK(smallest_moment == std::ldexp(1.0, grid.lowest - grid.mantissa_bits));
}

TEST_CASE("moments: E4M3's codes are of the grid's own rounding, to the nearest and by draws") {
  for (const bool drawn : {false, true})
    for (const double size : {1e-3, 0.01, 0.1, 30.0, 400.0}) {
      const Tensor x = (normal({20'000}, 11) * size).to(at::kFloat);
      int differing = 0;
      for (int64_t i = 0; i < x.numel(); ++i) {
        const float value = x.const_data_ptr<float>()[i];
        const auto draw = static_cast<uint32_t>(two_draws(5, static_cast<uint64_t>(i)));
        const bool small = std::abs(value) < smallest_moment;
        const float want = round_by_draw(value, moment_grid(drawn), small ? 0x80000000u : draw);
        const float got = from_e4m3(to_e4m3(value, drawn, draw));
        differing += got != want || std::signbit(got) != std::signbit(value);
      }
      CHECK(differing == 0);
    }
  // Where ties lie: to even, and of draws in the middle, up.
  CHECK(from_e4m3(to_e4m3(17.0f, false, 0)) == 16.0f);
  CHECK(from_e4m3(to_e4m3(19.0f, false, 0)) == 20.0f);
  CHECK(from_e4m3(to_e4m3(0x1p-10f, false, 0)) == 0.0f);
  CHECK(from_e4m3(to_e4m3(0x1p-10f, true, 0)) == 0x1p-9f);
  CHECK(from_e4m3(to_e4m3(15.99f, false, 0)) == 16.0f);
}

TEST_CASE("moments: bf16 by draws and to the nearest is the grid's own rounding") {
  const Quantiser q = parse_quantiser("bf16", "test");
  for (const double size : {1.0, 1e-3, 3e20, 1e-39}) {  // the last are subnormal numbers
    const Tensor x = (normal({1, 1, 500}, 3) * size).to(at::kFloat);
    const Tensor near = round_to_grid_plain(x, q, {}).view({500});
    Tensor draws = at::empty({500}, at::kDouble);
    std::vector<uint32_t> own(500);
    for (int64_t i = 0; i < 500; ++i) {
      own[static_cast<size_t>(i)] = static_cast<uint32_t>(two_draws(7, static_cast<uint64_t>(i)));
      draws.mutable_data_ptr<double>()[i] = own[static_cast<size_t>(i)] * 0x1p-32;
    }
    const Tensor drawn = round_to_grid_plain(x, q, draws).view({500});
    CHECK(same_bits(near, x.to(at::kBFloat16).to(at::kFloat).view({500})));
    CHECK_FALSE(same_bits(near, drawn));
    for (int64_t i = 0; i < 500; ++i) {
      const float value = x.const_data_ptr<float>()[i];
      CHECK(from_bf16(to_bf16(value, false, 0)) == near[i].item<float>());
      CHECK(from_bf16(to_bf16(value, true, own[static_cast<size_t>(i)])) == drawn[i].item<float>());
    }
  }
}

TEST_CASE("moments: draws are splitmix64's and the tensors' twin has the same") {
  CHECK(two_draws(0, 0) == 0xe220a8397b1dcdafull);  // its first numbers from 0
  CHECK(two_draws(0, 1) == 0x6e789e6aa1b965f4ull);
  const int64_t key = static_cast<int64_t>(0x123456789abcdef1ull);
  const Tensor words = mix_plain(
      at::arange(1, 101, at::kLong).mul(static_cast<int64_t>(0x9e3779b97f4a7c15ull)) + key);
  for (int64_t i = 0; i < 100; ++i)
    CHECK(static_cast<uint64_t>(words[i].item<int64_t>()) ==
          two_draws(static_cast<uint64_t>(key), static_cast<uint64_t>(i)));
}

TEST_CASE("moments: rounding by draws is right on average, and to the nearest is not") {
  constexpr int count = 200'000;
  for (const float x : {0.3001f, -1.07f, 0.0103f, 301.3f}) {
    CAPTURE(x);
    double half = 0.0, eighth = 0.0, half_step = 0.0, eighth_step = 0.0;
    for (int i = 0; i < count; ++i) {
      const uint64_t draws = two_draws(99, static_cast<uint64_t>(i));
      const double a = static_cast<double>(
                       from_bf16(to_bf16(x, true, static_cast<uint32_t>(draws)))),
                   b = static_cast<double>(
                       from_e4m3(to_e4m3(x, true, static_cast<uint32_t>(draws >> 32))));
      half += a - static_cast<double>(x);
      eighth += b - static_cast<double>(x);
      half_step = std::max(half_step, std::abs(a - static_cast<double>(x)));
      eighth_step = std::max(eighth_step, std::abs(b - static_cast<double>(x)));
    }
    // Five deviations of the mean; a draw's is at most half the distance of the two neighbours.
    const double bound = 5.0 / std::sqrt(static_cast<double>(count));
    CHECK(std::abs(half / count) < bound * half_step);
    CHECK(std::abs(eighth / count) < bound * eighth_step);
    const double near = static_cast<double>(from_e4m3(to_e4m3(x, false, 0)) - x);
    CHECK(std::abs(near) > bound * eighth_step);
  }
}

TEST_CASE(
    "moments: what is below the smallest number of E4M3 becomes none or twice itself at most") {
  for (const float x : {0x1p-9f * 0.49f, 0x1p-9f * 0.51f, 1e-8f})
    for (const uint32_t draw : {0u, 0x80000000u, 0xffffffffu})
      CHECK(from_e4m3(to_e4m3(x, true, draw)) == (x < 0x1p-10f ? 0.0f : 0x1p-9f));
}
