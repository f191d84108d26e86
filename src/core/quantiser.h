// Simulated number formats: the grid of numbers that values are rounded to, what shares a scale,
// and how a configuration names them.
#pragma once
#include <cstdint>
#include <string>

#include "core/number_format.h"

namespace rung {

// Multiples of 2^(max(e, lowest) - mantissa_bits) for magnitudes from 2^e to 2^(e + 1), as far as
// `largest`: floating point with subnormals, and whole numbers where lowest = mantissa_bits.
struct Grid {
  int mantissa_bits = 0, lowest = 0;
  double largest = 0.0;
  double smallest = 0.0;  // what is below becomes zero; 0: subnormals count
  double beyond = 0.0;    // what is above becomes this: largest, infinity or NaN
};
Grid grid_of(const NumberFormat& format);  // saturating, with subnormals
Grid whole_numbers(int bits);              // symmetric: -(2^(bits - 1) - 1) to 2^(bits - 1) - 1

enum class ScaleOver { fixed, tensor, channel, block };
// ratio: largest / max |x|. power: the power of two below it. mx: 2^(floor(log2 largest) -
// floor(log2 max |x|)), which may saturate (OCP Microscaling 1.0, section 6.3).
enum class ScaleRule { ratio, power, mx };

// x becomes round(x scale) / scale.
struct Quantiser {
  Grid grid;
  ScaleOver over = ScaleOver::fixed;
  ScaleRule rule = ScaleRule::ratio;
  int64_t block = 0;   // numbers along a row that share a scale
  double scale = 1.0;  // where it is fixed
  bool stochastic = false;
  bool on = false;  // false: x stays as it is
};

// A format and words on it: `e4m3`, `e3m2 bias=3 flush`, `int8 channel`, `e5m2 tensor stochastic`,
// `e2m1 mx32` (docs/parts/formats.md). Empty or `none`: off. Fails (usage) naming `key`.
Quantiser parse_quantiser(const std::string& text, const std::string& key);

// Of a hidden matrix's three products: y = x W^T, dx = dy W, dW = dy^T x.
struct MapFormats {
  Quantiser weight, activation, gradient;
  uint64_t key = 0;       // of stochastic rounding
  bool hardware = false;  // on a GPU's FP8 units where they take the shape
};

}  // namespace rung
