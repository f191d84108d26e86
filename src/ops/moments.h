// Adam's moments in fewer bits: how one number is written and read, the text that the CPU's and the
// GPU's kernels share.
#pragma once
#include "ops/rounding.h"

namespace rung {

// wide: the masters' own type. bf16: both moments. fp8: the first in E4M3 with a scale for every
// `moment_block` elements, the second in bf16 (FP8-LM, Peng et al. 2023, arXiv 2310.18313, where
// the first has one scale a tensor and the second is of 16 bits: updates divide by its root). A
// block's scale is that of the numbers just made, in the same pass; rare tokens' rows have their
// own.
enum class MomentKind { wide, bf16, fp8 };

constexpr int64_t moment_block = 128;  // the arena's unit, so that a block is of one tensor

// The moments of an arena: m and v as `kind` says, and by how much fp8's codes are multiplied, for
// every block.
struct SmallMoments {
  MomentKind kind;
  void *m, *v;
  float* scale;
};

RUNG_BOTH float from_bf16(uint16_t code) {
  return same_bits<float>(static_cast<uint32_t>(code) << 16);
}

// Onto bf16's grid as round_by_draw: what is cut off are the lower 16 bits, which the draw fills
// up.
RUNG_BOTH uint16_t to_bf16(float x, bool stochastic, uint32_t draw) {
  const uint32_t bits = same_bits<uint32_t>(x);
  return static_cast<uint16_t>((bits + (stochastic ? draw >> 16 : 0x7fffu + (bits >> 16 & 1u))) >>
                               16);
}

// E4M3 as a grid, with scales that are powers of two: what lies on it stays as it is.
RUNG_BOTH Rounding moment_grid(bool stochastic) {
  return {3, -6, 448.0f, 0.0f, 448.0f, stochastic, 0, 1, 8};
}
constexpr float smallest_moment = 0x1p-9f;  // that E4M3 holds

// Codes and floats have their exponent and mantissa bits in one order: the difference of the biases
// is a factor, subnormal numbers included.
RUNG_BOTH float from_e4m3(uint8_t code) {
  const uint32_t magnitude = code & 0x7fu, sign = code & 0x80u;
  const float size = same_bits<float>(magnitude << 20) * 0x1p120f;
  return same_bits<float>(same_bits<uint32_t>(size) | sign << 24);
}

// As round_by_draw on moment_grid, in whole numbers: `whole` counts the grid's steps, and a number
// that is rounded up to the next power of two has the code behind the last one below it.
// Below the smallest number rounding is to the nearest: drawn, a moment could become many times
// what it was, and the step with it, as the second moment is not.
RUNG_BOTH uint8_t to_e4m3(float x, bool stochastic, uint32_t draw) {
  constexpr uint32_t lowest = 121, smallest = 118;  // exponents of 2^-6 and 2^-9, biased by 127
  const uint32_t bits = same_bits<uint32_t>(x), magnitude = bits & 0x7fffffffu;
  const uint32_t own = magnitude >> 23, exponent = own > lowest ? own : lowest;
  const uint32_t shift = 20 + exponent - (own > smallest ? own : smallest);
  const uint32_t digits = (magnitude & 0x7fffffu) | 0x800000u;
  const uint32_t fill =
      stochastic ? draw >> (32 - shift) : (1u << (shift - 1)) - 1 + (digits >> shift & 1u);
  const uint32_t whole = (digits + fill) >> shift, half = (smallest - 1) << 23;
  uint32_t code = (exponent - lowest) * 8 + whole;
  if (own < smallest) code = magnitude > half || (stochastic && magnitude == half) ? 1 : 0;
  code = code < 0x7eu ? code : 0x7eu;
  return static_cast<uint8_t>(code | (bits >> 24 & 0x80u));
}

}  // namespace rung
