#include "study/rate.h"

#include <doctest/doctest.h>

#include <string>

#include "study/climb_cases.h"

using namespace rung;

TEST_CASE("a time budget buys a plan that it holds, down to the smallest climb that there is") {
  // A GPU's: populations of small shapes take a step's time whatever they hold.
  const std::vector<Rate> rates{{8, 1e-9, 2e-10}, {32, 2e-10, 1e-10}, {128, 5e-11, 1e-10}};
  const auto seconds_of = [&](double flops) {
    return plan_seconds(plan_climb(climb_base(), bytes, with_budget(flops)), rates);
  };
  const double least = number_after(failure_of(with_budget(1e9)), "needs ");
  const double shortest = seconds_of(least);
  for (const double seconds : {1.001 * shortest, 1.2 * shortest, 3.0 * shortest, 40.0 * shortest}) {
    CAPTURE(seconds / shortest);
    const double flops = flops_for_seconds(climb_base(), bytes, with_budget(0.0), rates, seconds);
    CHECK(seconds_of(flops) <= seconds);
    CHECK(flops >= 0.99 * least);
  }
  // What there is and what it takes are told apart, however near.
  for (const double share : {0.9, 0.9999}) {
    std::string message;
    try {
      flops_for_seconds(climb_base(), bytes, with_budget(0.0), rates, share * shortest);
    } catch (const Error& error) {
      message = error.what();
    }
    CHECK(number_after(message, "leaves ") < number_after(message, "takes about "));
  }
  // Members share a step's own time.
  CHECK(rates[0].seconds_per_flop(8) < rates[0].seconds_per_flop(1));
}

TEST_CASE("a text that is too short for any climb is said at once, whatever time there is") {
  // Larger budgets bring wider targets, which want more text still: the search for a budget stops.
  const std::vector<Rate> rates{{8, 1e-9, 0.0}};
  ClimbOptions options = with_budget(0.0);
  options.most_tokens = 1000;
  const auto plan = [&] { flops_for_seconds(climb_base(), bytes, options, rates, 1e6); };
  CHECK_THROWS_WITH_AS(plan(), doctest::Contains("The text is too small to climb. Received 1000"),
                       Error);
  options.target_width = 128;
  CHECK_THROWS_WITH_AS(plan(), doctest::Contains("The text is too small to climb. Received 1000"),
                       Error);
}
