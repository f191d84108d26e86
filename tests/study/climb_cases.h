// A climb's configuration and options for tests of its plan, and what a plan fails with.
#pragma once
#include <doctest/doctest.h>

#include <string>

#include "core/error.h"
#include "study/climb_plan.h"

namespace rung {

inline constexpr int64_t bytes = 256;

// What a climb on text starts from.
inline RunConfig climb_base() {
  RunConfig config;
  config.model.context = 64;
  config.train.lr = 0.7;
  return config;
}

inline ClimbOptions with_budget(double flops) {
  ClimbOptions options;
  options.flops = flops;
  return options;
}

inline std::string failure_of(const ClimbOptions& options, int64_t vocabulary = bytes) {
  try {
    plan_climb(climb_base(), vocabulary, options);
  } catch (const Error& error) {
    CHECK(error.kind == Failure::failed);
    return error.what();
  }
  return "";
}

// The number that stands behind `word` in a message.
inline double number_after(const std::string& text, const std::string& word) {
  const size_t at = text.find(word);
  REQUIRE_MESSAGE(at != std::string::npos, text);
  return std::stod(text.substr(at + word.size()));
}

}  // namespace rung
