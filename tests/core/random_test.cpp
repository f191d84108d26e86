#include "core/random.h"

#include <doctest/doctest.h>

#include <vector>

using namespace rung;

// Known answers of philox4x32-10 from Random123's kat_vectors: counter, key, result.
TEST_CASE("philox gives the published known answers") {
  const auto expect = [](uint64_t low, uint64_t high, uint64_t key, std::array<uint32_t, 4> want) {
    CHECK(philox(key, low, high) == want);
  };
  expect(0, 0, 0, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  expect(~0ull, ~0ull, ~0ull, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  expect(0x85a308d3243f6a88, 0x0370734413198a2e, 0x299f31d0a4093822,
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("a permutation is a bijection for every size, and depends on its key") {
  for (const uint64_t size : {1u, 2u, 3u, 5u, 17u, 64u, 65u, 999u, 4097u}) {
    const Permutation permutation(size, 42), other(size, 43);
    std::vector<int> seen(size, 0);
    uint64_t moved = 0, differs = 0;
    for (uint64_t i = 0; i < size; ++i) {
      const uint64_t image = permutation(i);
      REQUIRE(image < size);
      ++seen[image];
      moved += image != i;
      differs += image != other(i);
    }
    for (const int count : seen) CHECK(count == 1);
    if (size > 60) CHECK(moved > size / 2);
    if (size > 60) CHECK(differs > size / 2);
  }
  CHECK_THROWS(Permutation(0, 1));
  CHECK_THROWS(Permutation(3, 1)(3));
}

TEST_CASE("random streams are repeatable, separate and of the right moments") {
  Random a(1, "init", 3), b(1, "init", 3), c(1, "init", 4), d(2, "init", 3);
  const uint64_t first = a.bits64();
  CHECK(first == b.bits64());
  CHECK(first != c.bits64());
  CHECK(first != d.bits64());
  double sum = 0.0, squares = 0.0, uniform = 0.0;
  constexpr int n = 100'000;
  for (int i = 0; i < n; ++i) {
    const double x = a.normal();
    sum += x;
    squares += x * x;
    const double u = c.uniform();
    CHECK_MESSAGE((u >= 0.0 && u < 1.0), u);
    uniform += u;
  }
  CHECK(sum / n == doctest::Approx(0.0).epsilon(0.015));
  CHECK(squares / n == doctest::Approx(1.0).epsilon(0.015));
  CHECK(uniform / n == doctest::Approx(0.5).epsilon(0.01));
  std::array<int, 3> counts{};
  for (int i = 0; i < 30'000; ++i) ++counts[d.below(3)];
  for (const int count : counts) CHECK(count == doctest::Approx(10'000).epsilon(0.05));
}

TEST_CASE("a stream of normal numbers can be read from any pair on") {
  Random whole(7, "init");
  std::vector<double> numbers(40);
  for (double& x : numbers) x = whole.normal();
  for (const size_t pair : {size_t{0}, size_t{1}, size_t{13}}) {
    Random part(7, "init");
    part.normal();  // leaves a spare number and half a block behind
    part.seek(pair);
    for (size_t i = 2 * pair; i < numbers.size(); ++i) CHECK(part.normal() == numbers[i]);
  }
}
