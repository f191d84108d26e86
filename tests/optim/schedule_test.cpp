#include "optim/schedule.h"

#include <doctest/doctest.h>

#include <cmath>
#include <numbers>

#include "core/error.h"
#include "temporary.h"

using namespace rung;

namespace {

TrainConfig train_of(const char* schedule, double warmup, double cooldown) {
  TrainConfig train;
  train.schedule = schedule;
  train.warmup = warmup;
  train.cooldown = cooldown;
  return train;
}

}  // namespace

TEST_CASE("every step of every schedule") {
  struct Row {
    const char* name;
    double (*shape)(double r);  // over the cooldown, r in [0, 1)
  };
  const Row rows[] = {
      {"linear", [](double r) { return 1.0 - r; }},
      {"1-sqrt", [](double r) { return 1.0 - std::sqrt(r); }},
      {"cosine-cooldown", [](double r) { return (1.0 + std::cos(std::numbers::pi * r)) / 2.0; }},
  };
  constexpr int64_t steps = 200, warmup = 10, cooldown = 60;
  for (const Row& row : rows) {
    CAPTURE(row.name);
    const Schedule s = make_schedule(train_of(row.name, 0.05, 0.3), steps);
    CHECK(s.warmup == warmup);
    CHECK(s.trunk() == steps - cooldown);
    for (int64_t step = 0; step < steps; ++step) {
      CAPTURE(step);
      const double t = static_cast<double>(step);
      const double want = step < warmup             ? (t + 1.0) / 10.0
                          : step < steps - cooldown ? 1.0
                                                    : row.shape((t - 140.0) / 60.0);
      CHECK(std::abs(schedule_factor(s, step) - want) < 1e-12);
    }
    CHECK(schedule_factor(s, warmup - 1) == 1.0);
    CHECK(schedule_factor(s, s.trunk() - 1) == 1.0);
    CHECK(schedule_factor(s, s.trunk()) == 1.0);  // exactly: a branch starts from the trunk's rate
    CHECK(schedule_factor(s, s.trunk() + 1) < 1.0);
    CHECK(schedule_factor(s, steps) == 0.0);
  }
}

TEST_CASE("cosine falls from the end of the warm-up; constant never falls") {
  const Schedule cosine = make_schedule(train_of("cosine", 20.0, 0.3), 120);
  for (int64_t step = 20; step < 120; ++step)
    CHECK(std::abs(schedule_factor(cosine, step) -
                   0.5 * (1.0 + std::cos(std::numbers::pi * static_cast<double>(step - 20) /
                                         100.0))) < 1e-12);
  const Schedule constant = make_schedule(train_of("constant", 3.0, 0.3), 50);
  for (int64_t step = 3; step < 60; ++step) CHECK(schedule_factor(constant, step) == 1.0);
}

TEST_CASE("warm-up and cooldown are fractions below 1 and steps from 1 up") {
  const Schedule s = make_schedule(train_of("linear", 1.0, 40.0), 100);
  CHECK(s.warmup == 1);
  CHECK(s.cooldown == 40);
  CHECK(schedule_factor(s, 0) == 1.0);
  const Schedule none = make_schedule(train_of("linear", 0.0, 0.0), 10);
  for (int64_t step = 0; step < 10; ++step) CHECK(schedule_factor(none, step) == 1.0);
  CHECK(make_schedule(train_of("linear", 0.05, 0.3), 1).steps == 1);
}

TEST_CASE("schedules that do not fit are refused") {
  CHECK(error_of([] { make_schedule(train_of("linear", 60.0, 50.0), 100); }).find("[schedule]") ==
        0);
  CHECK(error_of([] { make_schedule(train_of("cosine", 200.0, 0.3), 100); }).find("[schedule]") ==
        0);
  CHECK(error_of([] { make_schedule(train_of("linaer", 0.1, 0.3), 100); }).find("mean linear?") !=
        std::string::npos);
}
