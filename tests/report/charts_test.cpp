#include "report/charts.h"

#include <doctest/doctest.h>

#include <cmath>

#include "report/curves.h"
#include "report/html.h"

using namespace rung;

namespace {

// Sweep members on a parabola in log2 lr around `optimum`.
ClimbFiles sweep_around(double optimum) {
  ClimbFiles files;
  for (int k = 0; k < 7; ++k) {
    ReportRun run;
    run.kind = "sweep", run.width = 64, run.batch_tokens = 2048, run.D = 1e6;
    run.lr = std::exp2(-10 + k);
    run.loss = 2 + 0.01 * std::pow(-10 + k - optimum, 2);
    files.runs.push_back(run);
  }
  return files;
}

}  // namespace

TEST_CASE("a bowl's vertex is the parabola's optimum") {
  for (const double optimum : {-7.3, -6.5, -8.0}) {
    const auto bowls = find_bowls(sweep_around(optimum));
    REQUIRE(bowls.size() == 1);
    CHECK(std::log2(bowls[0].optimum_lr) == doctest::Approx(optimum).epsilon(1e-9));
    CHECK_FALSE(bowls[0].at_edge);
  }
}

TEST_CASE("a bowl without a right wall says so") {
  const auto bowls = find_bowls(sweep_around(-2.0));
  REQUIRE(bowls.size() == 1);
  CHECK(bowls[0].at_edge);
  CHECK(bowls[0].optimum_lr == doctest::Approx(std::exp2(-4)));
}

TEST_CASE("the plan's own optimum goes before the drawn one") {
  auto files = sweep_around(-7.3);
  files.plan = {{"optima", {{{"width", 64}, {"batch_tokens", 2048}, {"D", 1e6}, {"lr", 0.005}}}}};
  CHECK(find_bowls(files)[0].optimum_lr == 0.005);
}

TEST_CASE("diverged members leave the bowl") {
  auto files = sweep_around(-7.3);
  files.runs.back().loss = NAN;
  CHECK(find_bowls(files)[0].points.size() == 6);
}

TEST_CASE("charts without data are null") {
  const ClimbFiles files;
  for (const auto chart :
       {&ladder_chart, &residual_chart, &curves_chart, &bowl_chart, &sources_chart})
    CHECK((*chart)(files).is_null());
}

TEST_CASE("thinning keeps ends and means, and drops what is not finite") {
  std::vector<std::pair<double, double>> points;
  for (int i = 1; i <= 10000; ++i) points.emplace_back(i, i == 500 ? NAN : 3.0);
  const auto thin = thin_curve(points, 50);
  CHECK(thin.size() <= 50);
  CHECK(thin.size() > 35);
  CHECK(thin.front().first == 1.0);
  CHECK(thin.back().first > 8000);
  for (const auto& [x, y] : thin) CHECK(y == doctest::Approx(3.0));
}

TEST_CASE("numbers read as people write them") {
  CHECK(show_count(229376) == "229k");
  CHECK(show_count(1.82e6) == "1.82M");
  CHECK(show_count(999999) == "1M");
  CHECK(show_count(512) == "512");
  CHECK(show_flops(3.4e12) == "3.40 × 10<sup>12</sup>");
  CHECK(show_flops(9.999e12) == "1.00 × 10<sup>13</sup>");
  CHECK(show_number(0.0625) == "0.0625");
  CHECK(show_number(1e-12) == "1.000e-12");
  CHECK(show_number(128) == "128");
  CHECK(show_number(100) == "100");
  CHECK(show_percent(-0.00341) == "−0.34 %");
  CHECK(show_seconds(231.4) == "3 min 51 s");
  CHECK(show_loss(NAN) == "–");
}

TEST_CASE("escaping covers elements, attributes and scripts") {
  CHECK(escape_html("<a href=\"x\">'&") == "&lt;a href=&quot;x&quot;&gt;&#39;&amp;");
  CHECK(script_json({{"a", "</script><!--"}}).find('<') == std::string::npos);
  CHECK(Json::parse(script_json({{"a", "</script>"}}))["a"] == "</script>");
}
