#include "study/ceiling.h"

#include <ATen/Parallel.h>
#include <doctest/doctest.h>

#include <filesystem>
#include <iterator>
#include <thread>

#include "train/population.h"

using namespace rung;

namespace {

std::ptrdiff_t threads_of_process() {
  return std::distance(std::filesystem::directory_iterator("/proc/self/task"),
                       std::filesystem::directory_iterator());
}

}  // namespace

TEST_CASE("the ceiling is that of the threads a run has, whatever its workers set for themselves") {
  std::ptrdiff_t before = 0, after = 0;
  std::thread([&] {  // which no earlier product has given helpers
    const Machine machine = make_machine("cpu", 2);
    machine.pool->run(2, [](int64_t) {});  // both have begun
    before = threads_of_process();
    CHECK(matmul_ceiling("cpu", "fp32", 3) > 0.0);
    after = threads_of_process();
    CHECK(at::get_num_threads() == 1);
  })
      .join();
  CHECK(after == before + 2);
}
