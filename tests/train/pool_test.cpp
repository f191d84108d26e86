#include "train/pool.h"

#include <doctest/doctest.h>

#include <atomic>
#include <numeric>
#include <stdexcept>
#include <vector>

using rung::TaskPool;

TEST_CASE("every task runs once, for many drivers at once") {
  std::atomic<int> starts = 0;
  TaskPool pool(3, [&] { ++starts; });
  std::vector<std::thread> drivers;
  std::atomic<int64_t> total = 0;
  for (int d = 0; d < 4; ++d)
    drivers.emplace_back([&] {
      for (int64_t count : {0, 1, 2, 100}) {
        std::vector<std::atomic<int>> seen(static_cast<size_t>(count));
        pool.run(count, [&](int64_t i) { ++seen[static_cast<size_t>(i)]; });
        for (const auto& n : seen) total += n == 1 ? 1 : -1000;
      }
    });
  for (std::thread& driver : drivers) driver.join();
  CHECK(total == 4 * 103);
  CHECK(pool.threads() == 3);
}

TEST_CASE("the first error of a task reaches the driver, and the pool lives on") {
  TaskPool pool(2);
  const auto fails = [](int64_t i) {
    if (i == 3) throw std::runtime_error("three");
  };
  CHECK_THROWS_WITH(pool.run(8, fails), "three");
  std::atomic<int> ran = 0;
  pool.run(5, [&](int64_t) { ++ran; });
  CHECK(ran == 5);
}
