#include "study/together.h"

#include <doctest/doctest.h>

#include "temporary.h"

using namespace rung;

TEST_CASE("of climbs on one GPU the slower by the FLOP goes first, on three levels") {
  CHECK(priorities_by_pace({1.0, 5.0, 2.0, 4.0, 3.0}) == std::vector<int>{-1, -3, -1, -2, -2});
  CHECK(priorities_by_pace({2.0, 1.0}) == std::vector<int>{-2, -1});
  CHECK(priorities_by_pace({1.0, 1.0, 1.0}) == std::vector<int>{-1, -1, -1});
  CHECK(priorities_by_pace({1.0}) == std::vector<int>{-1});
}

TEST_CASE("paces are measured once and read back, those of further climbs added") {
  const TemporaryFolder folder;
  const std::filesystem::path file = folder / "paces.json";
  size_t measured = 0;
  const auto measure = [&](size_t i) {
    ++measured;
    return 0.1 + static_cast<double>(i);
  };
  const std::vector<double> first = kept_paces(file, {"attention", "mamba2"}, measure);
  CHECK(first == std::vector{0.1, 1.1});
  CHECK(measured == 2);
  CHECK(kept_paces(file, {"attention", "mamba2"}, measure) == first);
  CHECK(measured == 2);
  CHECK(kept_paces(file, {"mamba2", "mlstm", "attention"}, measure) == std::vector{1.1, 1.1, 0.1});
  CHECK(measured == 3);
}

TEST_CASE("an error in one of several climbs keeps its kind and says which one it was") {
  const Error error = in_climb(Error("[climb] Too small.", Failure::refused), "mamba2", 3);
  CHECK(error.kind == Failure::refused);
  CHECK(
      std::string(error.what()) ==
      "[climb] Too small. (In the climb of mamba2, one of 3 alternatives that share the budget.)");
}
