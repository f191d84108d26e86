#include <fmt/format.h>

#include <charconv>
#include <string_view>

#include "core/error.h"
#include "data/synthetic.h"

namespace rung {
namespace {

struct Knob {
  std::string_view name;
  double least, most;
  int64_t SyntheticConfig::*whole;
  double SyntheticConfig::*real;
};

using Config = SyntheticConfig;

constexpr std::array knobs = {
    Knob{"vocabulary", 2, 32768, &Config::vocabulary, nullptr},
    Knob{"orders", 1, 16, &Config::orders, nullptr},
    Knob{"candidates", 1, 16, &Config::candidates, nullptr},
    Knob{"decay", 0.01, 1, nullptr, &Config::decay},
    Knob{"base", 0.001, 0.999, nullptr, &Config::base},
    Knob{"zipf", 0, 4, nullptr, &Config::zipf},
    Knob{"spread", 0, 8, nullptr, &Config::spread},
    Knob{"classes", 1, 1024, nullptr, &Config::classes},
    Knob{"transition", 0, 0.95, nullptr, &Config::transition},
};

std::string knob_names() {
  std::string names;
  for (const Knob& knob : knobs) names += (names.empty() ? "" : ", ") + std::string(knob.name);
  return names;
}

double number(std::string_view name, std::string_view text) {
  double value = 0.0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size())
    fail_usage("[synthetic] {} wants a number. Received '{}'.", name, text);
  return value;
}

void set_knob(SyntheticConfig& config, std::string_view name, double value) {
  for (const Knob& knob : knobs) {
    if (knob.name != name) continue;
    if (!(value >= knob.least && value <= knob.most))
      fail_usage("[synthetic] {} must lie between {} and {}. Received {}.", name, knob.least,
                 knob.most, value);
    if (knob.whole && value != static_cast<double>(static_cast<int64_t>(value)))
      fail_usage("[synthetic] {} must be whole. Received {}.", name, value);
    if (knob.whole) config.*knob.whole = static_cast<int64_t>(value);
    if (knob.real) config.*knob.real = value;
    return;
  }
  fail_usage("[synthetic] Unknown knob. Received '{}'. Knobs are {}.", name, knob_names());
}

}  // namespace

SyntheticConfig parse_synthetic(const std::string& path) {
  SyntheticConfig config;
  std::string_view rest = path;
  const size_t colon = rest.find(':');
  if (rest.substr(0, colon) != "synthetic")
    fail_usage("[synthetic] A language is named synthetic or synthetic:KNOB=VALUE,... Received {}.",
               path);
  rest = colon == rest.npos ? std::string_view() : rest.substr(colon + 1);
  while (!rest.empty()) {
    const std::string_view item = rest.substr(0, rest.find(','));
    rest.remove_prefix(std::min(rest.size(), item.size() + 1));
    const size_t equals = item.find('=');
    if (equals == item.npos && item == "transition") {
      config.transition = 0.25;
    } else if (equals == item.npos) {
      fail_usage("[synthetic] A knob is KNOB=VALUE. Received '{}'. Knobs are {}.", item,
                 knob_names());
    } else {
      set_knob(config, item.substr(0, equals),
               number(item.substr(0, equals), item.substr(equals + 1)));
    }
  }
  return config;
}

std::string to_string(const SyntheticConfig& config) {
  std::string text = "synthetic:";
  for (const Knob& knob : knobs) {
    if (text.back() != ':') text += ',';
    text += knob.whole ? fmt::format("{}={}", knob.name, config.*knob.whole)
                       : fmt::format("{}={}", knob.name, config.*knob.real);
  }
  return text;
}

}  // namespace rung
