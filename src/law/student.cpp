#include "law/student.h"

#include <cmath>
#include <numbers>

namespace rung {

// With theta = atan(t / sqrt(n)), P(|T| <= |t|) is
//   n odd   2 / pi (theta + sin cos (1 + 2/3 cos^2 + ... + 2 4 ... (n-3) / (3 5 ... (n-2))
//   cos^(n-3))) n even  sin (1 + 1/2 cos^2 + ... + 1 3 ... (n-3) / (2 4 ... (n-2)) cos^(n-2))
// Source: Abramowitz & Stegun 1964, 26.7.3 and 26.7.4.
double student_probability(double t, int freedom) {
  const double theta = std::atan(std::abs(t) / std::sqrt(static_cast<double>(freedom)));
  const double sine = std::sin(theta), cosine = std::cos(theta);
  const bool odd = freedom % 2 != 0;
  double sum = 0.0, term = odd ? cosine : 1.0;
  for (int k = odd ? 3 : 2; k <= freedom; k += 2) {
    sum += term;
    term *= cosine * cosine * (k - 1.0) / k;
  }
  const double inside = odd ? 2.0 / std::numbers::pi * (theta + sine * sum) : sine * sum;
  return t < 0.0 ? 0.5 - 0.5 * inside : 0.5 + 0.5 * inside;
}

double student_quantile(double probability, int freedom) {
  if (probability < 0.5) return -student_quantile(1.0 - probability, freedom);
  double lo = 0.0, hi = 1.0;
  while (student_probability(hi, freedom) < probability && hi < 1e12) hi *= 2.0;
  for (int i = 0; i < 200 && hi - lo > 1e-14 * hi; ++i) {
    const double middle = 0.5 * (lo + hi);
    (student_probability(middle, freedom) < probability ? lo : hi) = middle;
  }
  return 0.5 * (lo + hi);
}

}  // namespace rung
