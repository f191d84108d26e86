#include "core/quantiser.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>
#include <sstream>

#include "core/error.h"

namespace rung {

Grid grid_of(const NumberFormat& format) {
  return {.mantissa_bits = format.mantissa_bits,
          .lowest = 1 - format.bias,
          .largest = format.largest(),
          .beyond = format.largest()};
}

Grid whole_numbers(int bits) {
  const double largest = std::ldexp(1.0, bits - 1) - 1.0;
  return {.mantissa_bits = bits - 1, .lowest = bits - 1, .largest = largest, .beyond = largest};
}

namespace {

std::optional<int64_t> whole_behind(std::string_view word, std::string_view prefix) {
  if (!word.starts_with(prefix)) return std::nullopt;
  word.remove_prefix(prefix.size());
  int64_t value = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (error != std::errc() || end != word.data() + word.size()) return std::nullopt;
  return value;
}

// A text in pieces, and where it came from for complaints.
struct Reader {
  const std::string& text;
  const std::string& key;
  NumberFormat format;  // of a floating-point format
  int bits = 0;         // of whole numbers
  bool flush = false, overflow = false, scaled = false;
  Quantiser result = {};

  [[noreturn]] void wrong(const std::string& what) const {
    fail_usage("[formats] {}: {} Received '{}'. docs/parts/formats.md explains formats.", key, what,
               text);
  }

  // eXmY, intN, fp16 or bf16.
  void name(const std::string& word) {
    result.on = true;
    for (const NumberFormat& known : number_formats()) {
      std::string lower(known.name);
      std::transform(lower.begin(), lower.end(), lower.begin(),
                     [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
      if (word == lower) {
        format = known;
        return;
      }
    }
    if (const auto whole = whole_behind(word, "int")) {
      if (*whole < 2 || *whole > 24) wrong("Whole numbers have 2 to 24 bits.");
      bits = static_cast<int>(*whole);
      return;
    }
    const size_t m = word.find('m');
    const auto e = whole_behind(word.substr(0, std::min(m, word.size())), "e");
    const auto mantissa = m == std::string::npos ? std::nullopt : whole_behind(word.substr(m), "m");
    if (!e || !mantissa)
      wrong("A format is eXmY, intN, fp16 or bf16, such as e4m3, with options behind it.");
    if (*e < 2 || *e > 8 || *mantissa < 0 || *mantissa > 23)
      wrong("eXmY has 2 to 8 exponent bits and up to 23 mantissa bits.");
    format = {.exponent_bits = static_cast<int>(*e),
              .mantissa_bits = static_cast<int>(*mantissa),
              .bias = (1 << (*e - 1)) - 1};
    // FP4 and FP6 of OCP Microscaling hold numbers alone.
    if (word == "e2m1" || word == "e2m3" || word == "e3m2")
      format.has_infinity = format.has_nan = false;
  }

  bool top(const std::string& word) {
    if (word != "inf" && word != "nan" && word != "finite") return false;
    if (bits) wrong("Whole numbers have no infinity.");
    format.has_infinity = word == "inf";
    format.has_nan = word != "finite";
    if (word == "nan" && format.mantissa_bits == 0) wrong("NaN needs a mantissa bit.");
    return true;
  }

  void share(ScaleOver over, ScaleRule rule, int64_t block) {
    if (scaled) wrong("One thing shares a scale.");
    scaled = true;
    result.over = over;
    result.block = block;
    if (rule != ScaleRule::ratio) result.rule = rule;
  }

  bool scale(const std::string& word) {
    if (word == "tensor") {
      share(ScaleOver::tensor, ScaleRule::ratio, 0);
    } else if (word == "channel") {
      share(ScaleOver::channel, ScaleRule::ratio, 0);
    } else if (const auto block = whole_behind(word, "block"); block && *block > 0) {
      share(ScaleOver::block, ScaleRule::ratio, *block);
    } else if (const auto mx = whole_behind(word, "mx"); mx && *mx > 0) {
      share(ScaleOver::block, ScaleRule::mx, *mx);
    } else if (word.starts_with("scale=")) {
      share(ScaleOver::fixed, ScaleRule::ratio, 0);
      const std::string number = word.substr(6);
      char* end = nullptr;
      result.scale = std::strtod(number.c_str(), &end);
      if (number.empty() || *end || !(result.scale >= 1e-30 && result.scale <= 1e30))
        wrong("scale= takes a number from 1e-30 to 1e30.");
    } else if (word == "pow2") {
      if (result.rule != ScaleRule::mx) result.rule = ScaleRule::power;
    } else {
      return false;
    }
    return true;
  }

  void option(const std::string& word) {
    if (word == "stochastic") {
      result.stochastic = true;
    } else if (word == "flush") {
      flush = true;
    } else if (word == "overflow") {
      overflow = true;
    } else if (const auto bias = whole_behind(word, "bias="); bias && !bits) {
      if (*bias < -100 || *bias > 127) wrong("A bias lies from -100 to 127.");
      format.bias = static_cast<int>(*bias);
    } else if (!top(word) && !scale(word)) {
      wrong(fmt::format("'{}' is no option of a format.", word));
    }
  }

  Quantiser finished() {
    if (bits && !scaled)
      wrong("Whole numbers want a scale: tensor, channel, blockN, mxN or scale=X.");
    if (result.rule == ScaleRule::power && (!scaled || result.over == ScaleOver::fixed))
      wrong("pow2 is of scales by tensor, channel or block.");
    if (bits && (flush || overflow)) wrong("Whole numbers saturate and have no subnormals.");
    Grid& grid = result.grid = bits ? whole_numbers(bits) : grid_of(format);
    if (!bits && grid.largest > 0x1.fffffep127) wrong("The format holds more than fp32 does.");
    if (flush) grid.smallest = format.smallest_normal();
    if (overflow)
      grid.beyond = format.has_infinity ? std::numeric_limits<double>::infinity()
                                        : std::numeric_limits<double>::quiet_NaN();
    return result;
  }
};

}  // namespace

Quantiser parse_quantiser(const std::string& text, const std::string& key) {
  std::istringstream words(text);
  std::string word;
  if (!(words >> word) || word == "none") {
    if (words >> word) fail_usage("[formats] {}: none has no options. Received '{}'.", key, text);
    return {};
  }
  Reader reader{.text = text, .key = key};
  reader.name(word);
  while (words >> word) reader.option(word);
  return reader.finished();
}

}  // namespace rung
