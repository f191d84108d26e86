#include <cmath>

#include "cli/verb.h"
#include "core/error.h"
#include "core/number.h"

namespace rung {
namespace {

const Arguments::Value& value_of(const Arguments& arguments, std::string_view name) {
  for (const Arguments::Value& value : arguments.values)
    if (value.name == name) return value;
  fail("[cli] The verb does not declare the option {}.", name);
}

}  // namespace

bool Arguments::has(std::string_view name) const {
  return value_of(*this, name).given;
}

std::string Arguments::text(std::string_view name) const {
  const Value& value = value_of(*this, name);
  return value.values.empty() ? "" : value.values.front();
}

double Arguments::number(std::string_view name) const {
  const std::string given = text(name);
  const std::optional<double> number = parse_number(given);
  if (!number) fail_usage("[cli] {} takes a number. Received {}.", name, given);
  return *number;
}

int64_t Arguments::integer(std::string_view name) const {
  const double value = number(name);
  if (value != std::floor(value) || std::abs(value) > 0x1p53)
    fail_usage("[cli] {} takes a whole number. Received {}.", name, text(name));
  return static_cast<int64_t>(value);
}

uint64_t Arguments::seed() const {
  const int64_t value = integer("--seed");
  if (value < 0) fail_usage("[cli] --seed takes a whole number from 0. Received {}.", value);
  return static_cast<uint64_t>(value);
}

std::vector<std::string> Arguments::list(std::string_view name) const {
  return value_of(*this, name).values;
}

}  // namespace rung
