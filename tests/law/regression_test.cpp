#include "law/regression.h"

#include <doctest/doctest.h>

#include <cmath>

using namespace rung;

TEST_CASE("regression: weighted least squares gives coefficients and their covariance") {
  // Checked by hand: the weighted mean of 1, 2, 6 with weights 1, 1, 2 is 3.75.
  const Eigen::MatrixXd ones = Eigen::MatrixXd::Ones(3, 1);
  const LinearFit mean = least_squares(ones, {1.0, 2.0, 6.0}, {1.0, 1.0, 2.0});
  CHECK(mean.coefficients[0] == doctest::Approx(3.75));
  CHECK(mean.freedom == 2);
  const double variance = (2.75 * 2.75 + 1.75 * 1.75 + 2 * 2.25 * 2.25) / 2;
  CHECK(mean.covariance(0, 0) == doctest::Approx(variance / 4));
  Eigen::MatrixXd twice(3, 2);
  twice << 1, 2, 1, 2, 1, 2;
  CHECK_FALSE(least_squares(twice, {1.0, 2.0, 3.0}).determined);
}

TEST_CASE("regression: a parabola's minimum, and why not to believe one") {
  std::vector<double> x, y, falling, bump;
  for (int i = 0; i < 7; ++i) {
    x.push_back(18.0 + 0.5 * i);
    y.push_back(2.5 + 0.03 * std::pow(x.back() - 19.3, 2));
    falling.push_back(2.5 + 0.03 * std::pow(x.back() - 30.0, 2));
    bump.push_back(2.5 - 0.03 * std::pow(x.back() - 19.3, 2));
  }
  const CurveMinimum found = parabola_minimum(x, y);
  CHECK(found.problem == "");
  CHECK(found.at == doctest::Approx(19.3).epsilon(1e-9));
  CHECK(found.value == doctest::Approx(2.5).epsilon(1e-9));
  CHECK(found.curvature == doctest::Approx(0.06).epsilon(1e-6));
  CHECK(found.offset == doctest::Approx((19.3 - 19.5) / 1.5));
  CHECK(parabola_minimum(x, falling).problem == "edge-minimum");
  CHECK(parabola_minimum(x, bump).problem == "not-convex");
  CHECK(parabola_minimum({1, 1, 2, 3}, {1, 1, 0, 1}, 4).problem == "few-points");
  std::vector<double> noisy = y;
  for (int i = 0; i < 7; ++i) noisy[i] = 2.5 + 0.001 * (y[i] - 2.5) + (i % 2 ? 1e-2 : -1e-2);
  const CurveMinimum flat = parabola_minimum(x, noisy, 4, 0.5);
  CHECK(flat.problem != "");
}

TEST_CASE("regression: Akima's interpolant equals SciPy's and finds its own minimum") {
  const std::vector<double> x = {0, 1, 2.5, 3, 4.2, 6}, y = {3, 1.2, 0.4, 0.5, 1.1, 2.9};
  const Akima akima(x, y);
  CHECK(akima(0.5) == doctest::Approx(1.9205555555555556).epsilon(1e-12));
  CHECK(akima(2.0) == doctest::Approx(0.483304439190964).epsilon(1e-12));
  CHECK(akima(2.7) == doctest::Approx(0.42132719953996556).epsilon(1e-12));
  CHECK(akima(5.0) == doctest::Approx(1.7734567901234566).epsilon(1e-12));
  CHECK(akima.minimum() == doctest::Approx(2.437363).epsilon(1e-6));
  const Akima rising(x, {1, 2, 3, 4, 5, 6});
  CHECK(rising.minimum() == 0.0);
}

TEST_CASE("regression: scalar minimum and groups") {
  CHECK(minimise([](double t) { return std::cosh(t - 1.25); }, -5.0, 5.0) ==
        doctest::Approx(1.25).epsilon(1e-6));
  const auto groups = group_values({10.0, 1.0, 10.5, 1.05, 12.0}, 0.1);
  REQUIRE(groups.size() == 3);
  CHECK(groups[0] == std::vector<size_t>{1, 3});
  CHECK(groups[1] == std::vector<size_t>{0, 2});
  // Values that scatter about 10 stay together, which a window from the lowest would cut.
  const std::vector<double> scattered = {9.2, 9.7, 9.9, 10.0, 10.1, 10.3, 10.4, 10.6, 14.0};
  CHECK(group_densest(scattered, 0.1)[1].size() == 7);
}
