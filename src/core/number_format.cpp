#include "core/number_format.h"

#include <array>
#include <cmath>

namespace rung {
namespace {

constexpr std::array table = {
    NumberFormat{"FP16", 5, 10, 15, true},  // IEEE 754 binary16
    NumberFormat{"BF16", 8, 7, 127, true},
    NumberFormat{"E4M3", 4, 3, 7, false},  // the "fn" form
    NumberFormat{"E5M2", 5, 2, 15, true},
};

// Of the largest finite number: its exponent, and its last mantissa step.
int highest(const NumberFormat& f) {
  return (1 << f.exponent_bits) - 1 - (f.has_infinity ? 1 : 0) - f.bias;
}

double last_step(const NumberFormat& f) {
  return std::ldexp(1.0, highest(f) - f.mantissa_bits);
}

}  // namespace

double NumberFormat::largest() const {
  const double taken = has_infinity || !has_nan ? 1.0 : 2.0;  // the last step is NaN's
  return std::ldexp(2.0, highest(*this)) - last_step(*this) * taken;
}

double NumberFormat::smallest_normal() const {
  return std::ldexp(1.0, 1 - bias);
}

double NumberFormat::smallest_subnormal() const {
  return std::ldexp(1.0, 1 - bias - mantissa_bits);
}

bool NumberFormat::overflows(double magnitude) const {
  // The mantissa of the largest number is even where NaN takes the one after it, so that a tie
  // stays; elsewhere it is odd, and a tie leaves.
  const double tie = largest() + 0.5 * last_step(*this);
  return has_infinity || !has_nan ? magnitude >= tie : magnitude > tie;
}

bool NumberFormat::underflows(double magnitude) const {
  return magnitude > 0.0 && magnitude <= 0.5 * smallest_subnormal();
}

bool NumberFormat::is_subnormal(double magnitude) const {
  return magnitude > 0.5 * smallest_subnormal() &&
         magnitude < smallest_normal() - 0.5 * smallest_subnormal();
}

std::span<const NumberFormat> number_formats() {
  return table;
}

}  // namespace rung
