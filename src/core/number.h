// Numbers as people type them on the command line and in configurations.
#pragma once
#include <optional>
#include <string>
#include <vector>

namespace rung {

// `0.5`, `1e18`, `-3`, `2^-3`, `7B` (k, M, B or G, T: 10^3 to 10^12); nothing for any other text,
// infinities and NaN included.
std::optional<double> parse_number(const std::string& text);

// Bytes of `80GB` (10^9 each), `80GiB` (2^30 each), `512B`, of letters in any case, and of a plain
// number; nothing for any other text.
std::optional<double> parse_bytes(const std::string& text);

// FLOPs of `1e21`, `1e15flop` and `2TFLOPs`, the unit in any case; nothing for any other text.
std::optional<double> parse_flops(const std::string& text);

// Seconds of `30d`, `12h`, `90min`, `45s`; nothing for any other text, plain numbers included.
std::optional<double> parse_seconds(const std::string& text);

// `2^-8..2^0:9`: 9 log-spaced numbers, ends included, powers of two and of ten to the bit; nothing
// where the text is no range.
// Fails (usage) where it is one but an end is not positive or the count not from 2 to 4096.
std::optional<std::vector<double>> parse_range(const std::string& text);

// The shortest text that reads back as the same number.
std::string number_text(double value);

}  // namespace rung
