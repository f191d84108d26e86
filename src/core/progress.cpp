#include "core/progress.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace rung {

std::string short_number(double value) {
  if (!std::isfinite(value)) return fmt::format("{}", value);
  constexpr std::array<const char*, 8> prefixes = {"", "k", "M", "G", "T", "P", "E", "Z"};
  size_t prefix = 0;
  // 999.5 rounds to 1000 and so belongs to the next prefix.
  while (std::abs(value) >= 999.5 && prefix + 1 < prefixes.size()) {
    value /= 1000.0;
    ++prefix;
  }
  if (std::abs(value) >= 999.5) return fmt::format("{:.2e}{}", value, prefixes[prefix]);
  const double size = std::abs(value);
  const int decimals = size >= 99.95 ? 0 : size >= 9.995 ? 1 : 2;
  if (prefix == 0 && value == std::floor(value)) return fmt::format("{:.0f}", value);
  return fmt::format("{:.{}f}{}", value, decimals, prefixes[prefix]);
}

std::string short_amount(double value, std::string_view unit) {
  const std::string text = short_number(value);
  if (!std::isfinite(value)) return text + " " + std::string(unit);
  const size_t prefix = text.find_last_of("0123456789") + 1;
  return text.substr(0, prefix) + " " + text.substr(prefix) + std::string(unit);
}

std::string short_seconds(double seconds) {
  if (!(seconds >= 0.0) || !std::isfinite(seconds)) return "?";
  if (seconds < 9.95) return fmt::format("{:.1f} s", seconds);
  if (seconds >= 360'000'000.0) return "years";
  const auto whole = static_cast<int64_t>(std::llround(seconds));
  if (whole < 60) return fmt::format("{} s", whole);
  if (whole < 3600) return fmt::format("{}:{:02}", whole / 60, whole % 60);
  return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
}

namespace {

// What stands behind label and bar; without `amounts` the shares alone.
std::string progress_text(const Progress& p, double share, bool amounts) {
  std::string text;
  if (p.total > 0.0) {
    text = fmt::format("{:3.0f} %", std::floor(100.0 * share));
    if (amounts)
      text += fmt::format(" {}/{} {}", short_number(p.done), short_number(p.total), p.unit);
  } else if (!p.unit.empty()) {
    text = fmt::format("{} {}", short_number(p.done), p.unit);
  }
  const double rate = p.seconds > 0.0 ? (p.done - p.resumed_from) / p.seconds : 0.0;
  if (rate > 0.0) {
    text += fmt::format(", {} {}/s", short_number(rate), p.unit);
    if (p.total > p.done && p.whole.empty())
      text += fmt::format(", {} left", short_seconds((p.total - p.done) / rate));
  }
  if (p.loss > 0.0) text += fmt::format(", loss {:.4f}", p.loss);
  if (!p.whole.empty())
    text += fmt::format(
        "; {} {:.0f} %{}", p.whole, std::floor(100.0 * std::clamp(p.whole_share, 0.0, 1.0)),
        p.whole_left < 0.0 ? "" : fmt::format(", {} left", short_seconds(p.whole_left)));
  return text;
}

}  // namespace

std::string progress_line(const Progress& p, int columns, bool bar) {
  constexpr int least_bar = 8;
  const double share = p.total > 0.0 ? std::clamp(p.done / p.total, 0.0, 1.0) : 0.0;
  std::string line = p.label.empty() ? "" : p.label + " ", text = progress_text(p, share, true);
  const auto room = [&] { return columns - static_cast<int>(line.size() + text.size()) - 3; };
  if (bar && !p.whole.empty() && room() < least_bar) text = progress_text(p, share, false);
  if (bar && p.total > 0.0 && room() >= least_bar) {
    const int width = std::min(room(), 30), filled = static_cast<int>(std::floor(share * width));
    line += '[' + std::string(static_cast<size_t>(filled), '#') +
            std::string(static_cast<size_t>(width - filled), '.') + "] ";
  }
  line += text;
  return line.substr(0, static_cast<size_t>(std::max(columns, 0)));
}

}  // namespace rung
