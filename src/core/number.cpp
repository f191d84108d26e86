#include "core/number.h"

#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <string_view>
#include <utility>

#include "core/error.h"

namespace rung {
namespace {

std::optional<double> finite(double value) {
  return std::isfinite(value) ? std::optional(value) : std::nullopt;
}

std::optional<double> parse_plain(std::string_view text) {
  if (text.starts_with('+')) text.remove_prefix(1);
  double value = 0.0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return {};
  return finite(value);
}

// 3, 6, ... of `7B`, whose letter stands for 10^9; 0 where the text ends with none of these.
int exponent_of(char last) {
  constexpr std::array<std::pair<char, int>, 6> prefixes{
      {{'k', 3}, {'K', 3}, {'M', 6}, {'B', 9}, {'G', 9}, {'T', 12}}};
  for (const auto& [letter, exponent] : prefixes)
    if (last == letter) return exponent;
  return 0;
}

// `digits` times 10^exponent. Read as one decimal text where they have no exponent of their own:
// 32.3 times 1000 is not the whole number that 32.3k means.
std::optional<double> parse_scaled(const std::string& digits, int exponent) {
  if (digits.find_first_of("eE") == std::string::npos)
    return parse_plain(fmt::format("{}e{}", digits, exponent));
  const std::optional<double> value = parse_plain(digits);
  return value ? finite(*value * std::pow(10.0, exponent)) : std::nullopt;
}

// The decimal number of 12 digits where that is what the value would be but for rounding: powers of
// ten have no exact logarithms.
double near_decimal(double value) {
  constexpr double rounding = 1e-14;
  const double decimal = std::strtod(fmt::format("{:.11e}", value).c_str(), nullptr);
  return std::abs(decimal - value) <= rounding * value ? decimal : value;
}

}  // namespace

std::optional<double> parse_number(const std::string& text) {
  const size_t caret = text.find('^');
  if (caret == std::string::npos) {
    const int exponent = text.empty() ? 0 : exponent_of(text.back());
    return exponent == 0 ? parse_plain(text)
                         : parse_scaled(text.substr(0, text.size() - 1), exponent);
  }
  const std::optional<double> base = parse_plain(text.substr(0, caret));
  const std::optional<double> power = parse_plain(text.substr(caret + 1));
  if (!base || !power) return {};
  return finite(std::pow(*base, *power));
}

std::optional<double> parse_bytes(const std::string& text) {
  const auto upper = [&](size_t from_end) {
    const char c = text.size() > from_end ? text[text.size() - 1 - from_end] : ' ';
    return static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  };
  if (upper(0) != 'B') return parse_number(text);
  const bool binary = upper(1) == 'I';
  const size_t letters = binary ? 2 : 1;
  const size_t power = std::string_view(" KMGT").find(upper(letters));
  if (power == 0 || (power == std::string_view::npos && binary)) return {};
  const bool plain = power == std::string_view::npos;  // `512B`
  const auto value = parse_plain(text.substr(0, text.size() - letters - (plain ? 0 : 1)));
  return value ? finite(*value * std::pow(binary ? 1024.0 : 1000.0, plain ? 0 : power))
               : std::nullopt;
}

std::optional<double> parse_flops(const std::string& text) {
  std::string lower = text;
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  for (const std::string_view unit : {"flop", "flops"})
    if (lower.ends_with(unit)) return parse_number(text.substr(0, text.size() - unit.size()));
  return parse_number(text);
}

std::optional<double> parse_seconds(const std::string& text) {
  constexpr std::array<std::pair<std::string_view, double>, 5> units{
      {{"min", 60.0}, {"d", 86400.0}, {"h", 3600.0}, {"ms", 1e-3}, {"s", 1.0}}};
  for (const auto& [unit, seconds] : units) {
    if (!text.ends_with(unit)) continue;
    const std::optional<double> value = parse_number(text.substr(0, text.size() - unit.size()));
    return value ? std::optional(*value * seconds) : std::nullopt;
  }
  return {};
}

std::optional<std::vector<double>> parse_range(const std::string& text) {
  const size_t dots = text.find(".."), colon = text.rfind(':');
  if (dots == std::string::npos || colon == std::string::npos || colon < dots) return {};
  const std::optional<double> first = parse_number(text.substr(0, dots));
  const std::optional<double> last = parse_number(text.substr(dots + 2, colon - dots - 2));
  const std::optional<double> count = parse_number(text.substr(colon + 1));
  if (!first || !last || !count) return {};
  if (*first <= 0.0 || *last <= 0.0)
    fail_usage("[config] A range is log-spaced: both ends must be positive. Received {}.", text);
  if (*count < 2.0 || *count > 4096.0 || *count != std::floor(*count))
    fail_usage("[config] A range has 2 to 4096 points. Received {}.", text);
  const auto points = static_cast<int>(*count);
  std::vector<double> values;
  const double from = std::log2(*first), to = std::log2(*last);
  // One division: shares such as 1/6 would miss powers of two by their own rounding.
  for (int i = 0; i < points; ++i)
    values.push_back(near_decimal(std::exp2((from * (points - 1 - i) + to * i) / (points - 1))));
  values.front() = *first;
  values.back() = *last;
  return values;
}

std::string number_text(double value) {
  return fmt::format("{}", value);
}

}  // namespace rung
