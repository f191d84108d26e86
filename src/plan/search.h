// Searching a function of one variable, ln N: its minimum, and how far it stays below a limit.
#pragma once
#include <algorithm>
#include <cmath>
#include <limits>

namespace rung {

// The lowest point of `f` over [lo, hi]: the best of an even scan, then golden sections; an end
// itself where `f` falls towards it.
template <class F>
double lowest_point(double lo, double hi, F&& f, int scan = 96, double tolerance = 1e-9) {
  if (!(lo < hi)) return lo;
  double best = lo, least = std::numeric_limits<double>::infinity();
  const double step = (hi - lo) / (scan - 1);
  for (int i = 0; i < scan; ++i) {
    const double value = f(lo + i * step);
    if (value < least) least = value, best = lo + i * step;
  }
  double a = std::max(lo, best - step), b = std::min(hi, best + step);
  constexpr double golden = 0.6180339887498949;
  double left = b - golden * (b - a), right = a + golden * (b - a);
  double at_left = f(left), at_right = f(right);
  // Below about 1e-8 of ln N the loss differs by rounding alone.
  while (b - a > tolerance * std::max(1.0, std::fabs(best))) {
    if (at_left <= at_right) {
      b = right, right = left, at_right = at_left;
      left = b - golden * (b - a), at_left = f(left);
    } else {
      a = left, left = right, at_left = at_right;
      right = a + golden * (b - a), at_right = f(right);
    }
  }
  const double inner = 0.5 * (a + b);
  for (const double end : {lo, hi})
    if (f(end) <= f(inner) && std::fabs(inner - end) < step) return end;
  return inner;
}

// The end of the stretch around `from` whose value stays at most `limit`, towards `to`.
template <class F>
double stretch_end(double from, double to, double limit, F&& f) {
  double inside = from;
  constexpr int steps = 200;
  for (int i = 1; i <= steps; ++i) {
    const double next = from + (to - from) * i / steps;
    if (f(next) > limit) {
      double outside = next;
      for (int halving = 0; halving < 50; ++halving) {
        const double middle = 0.5 * (inside + outside);
        (f(middle) > limit ? outside : inside) = middle;
      }
      return inside;
    }
    inside = next;
  }
  return to;
}

}  // namespace rung
