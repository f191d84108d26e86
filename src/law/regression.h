// Small regressions that procedures share: straight lines, parabolas and their minima, Akima
// interpolation, and rows grouped by nearly equal values.
#pragma once
#include <Eigen/Dense>
#include <functional>
#include <string_view>
#include <vector>

namespace rung {

struct LinearFit {
  Eigen::VectorXd coefficients;
  Eigen::MatrixXd covariance;  // of the coefficients; NaN without degrees of freedom
  double variance = 0.0;       // of one residual
  int freedom = 0;
  bool determined = false;  // false when the design's columns depend on each other
};

// Least squares of y on the columns of `design`, rows weighted (all ones when empty).
LinearFit least_squares(const Eigen::MatrixXd& design, const std::vector<double>& y,
                        const std::vector<double>& weight = {});

// The minimum of a curve through (x, y) from a parabola, with the reasons against believing it.
struct CurveMinimum {
  std::string_view problem;  // empty, or: few-points, not-convex, edge-minimum, flat-minimum
  double at = 0.0, value = 0.0;
  double at_se = 0.0;      // of `at`, by the delta method; NaN without degrees of freedom
  double curvature = 0.0;  // second derivative
  double offset = 0.0;     // of `at` from the middle of the points, over half their width
  double width = 0.0;      // of the points
  std::vector<double> fitted;
  int freedom = 0;
};
CurveMinimum parabola_minimum(const std::vector<double>& x, const std::vector<double>& y,
                              int min_points = 4, double largest_se = 1.0);

// Akima's piecewise cubic through points with ascending x (at least 5), as SciPy's
// Akima1DInterpolator. Source: Akima 1970, "A New Method of Interpolation and Smooth Curve Fitting
// Based on Local Procedures".
class Akima {
 public:
  Akima(std::vector<double> x, std::vector<double> y);
  double operator()(double x) const;
  // Where it is lowest, from the cubics' own stationary points; at an end when it falls there.
  double minimum() const;

 private:
  double piece(size_t segment, double x) const;
  std::vector<double> x_, y_, slope_;
};

// The lowest value of a function of one variable between two bounds: a scan, then golden sections.
double minimise(const std::function<double(double)>& f, double lo, double hi, int scan = 64);

// Positions grouped by value, ascending: a group holds what lies within `tolerance` (relative) of
// its smallest value.
std::vector<std::vector<size_t>> group_values(const std::vector<double>& values, double tolerance);

// The same for values that scatter about unknown centres: the fullest window first, then the
// fullest of what is left.
std::vector<std::vector<size_t>> group_densest(const std::vector<double>& values, double tolerance);

double mean_of(const std::vector<double>& values);
double deviation_of(const std::vector<double>& values);  // with n - 1
double geometric_mean(const std::vector<double>& values, const std::vector<size_t>& positions);
std::vector<double> pick(const std::vector<double>& values, const std::vector<size_t>& positions);
std::vector<double> logs_of(const std::vector<double>& values);

}  // namespace rung
