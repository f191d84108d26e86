// Binary floating-point formats that networks are computed in, and what each holds.
#pragma once
#include <span>
#include <string_view>

namespace rung {

// A sign, `exponent_bits` biased by `bias`, and `mantissa_bits` behind the hidden one. Without
// infinities (E4M3, Micikevicius et al. 2022, arXiv 2209.05433) the highest exponent holds numbers
// too, and NaN has all mantissa bits set; without NaN there (FP4 and FP6 of OCP MX) every code is a
// number.
struct NumberFormat {
  std::string_view name;
  int exponent_bits = 0, mantissa_bits = 0, bias = 0;
  bool has_infinity = true;
  bool has_nan = true;

  double largest() const;             // finite
  double smallest_normal() const;     // 2^(1 - bias)
  double smallest_subnormal() const;  // 2^(1 - bias - mantissa_bits)

  // Where rounding to nearest, ties to even, takes a finite magnitude.
  bool overflows(double magnitude) const;     // to infinity or NaN
  bool underflows(double magnitude) const;    // to zero, without being it
  bool is_subnormal(double magnitude) const;  // to a subnormal number
};

// FP16, BF16, E4M3, E5M2.
std::span<const NumberFormat> number_formats();

}  // namespace rung
