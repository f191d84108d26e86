#include "law/schedule.h"

#include <doctest/doctest.h>

#include <cmath>
#include <numbers>

#include "core/error.h"
#include "law/schedule_sum.h"

using namespace rung;

namespace {

std::vector<RateSchedule> schedules(const std::string& csv) {
  return read_schedules(parse_table(csv, TableFormat::csv, "knots.csv"));
}

std::string error_of(const std::string& csv) {
  try {
    schedules(csv);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

double exact_sum(const std::vector<double>& lr, size_t t, double c, double beta, double gamma) {
  double sum = 0.0, s = 0.0;
  for (size_t k = t; k >= 1; --k) {
    s += lr[k];
    if (lr[k - 1] != lr[k] && s > 0.0)
      sum += (lr[k - 1] - lr[k]) * (1.0 - std::pow(1.0 + c * std::pow(lr[k], -gamma) * s, -beta));
  }
  return sum;
}

double compressed_sum(const ScheduleSum& sums, size_t t, double c, double beta, double gamma,
                      size_t& terms) {
  SumLists list;
  sums.append_terms(t, list);
  terms = list.size();
  return annealing_sum(list.view(0, list.size()), std::log(c), beta, gamma);
}

}  // namespace

TEST_CASE("schedule: the shapes between knots") {
  const auto runs = schedules(
      "run,step,lr,shape\na,0,0,linear\na,4,1,hold\na,6,1,cosine\na,10,0.2,\n"
      "b,0,1,exponential\nb,2,0.25,hold\nb,4,0.5,\n");
  REQUIRE(runs.size() == 2);
  CHECK(runs[0].run == "a");
  REQUIRE(runs[0].lr.size() == 11);
  CHECK(runs[0].lr[2] == doctest::Approx(0.5));
  CHECK(runs[0].lr[5] == 1.0);
  CHECK(runs[0].lr[7] == doctest::Approx(0.2 + 0.4 * (1 + std::cos(std::numbers::pi / 4))));
  CHECK(runs[0].lr[10] == doctest::Approx(0.2));
  CHECK(runs[1].lr[1] == doctest::Approx(0.5));
  CHECK(runs[1].lr[3] == 0.25);
  CHECK(runs[1].lr[4] == 0.5);
}

TEST_CASE("schedule: from rows alone, a warm-up from 0 and straight lines") {
  const Table table = parse_table("step,lr,loss\n4,1,3\n8,0.5,2\n", TableFormat::csv);
  const auto runs = schedules_of_rows(table, {});
  REQUIRE(runs.size() == 1);
  CHECK(runs[0].lr[0] == 0.0);
  CHECK(runs[0].lr[2] == doctest::Approx(0.5));
  CHECK(runs[0].lr[6] == doctest::Approx(0.75));
}

TEST_CASE("schedule: what is no schedule") {
  CHECK(error_of("step,lr\n5,1\n6,1\n").find("begins at step 0") != std::string::npos);
  CHECK(error_of("step,lr\n0,1\n0,1\n").find("Steps rise") != std::string::npos);
  CHECK(error_of("step,lr\n0,1\n1.5,1\n").find("whole number") != std::string::npos);
  CHECK(error_of("step,lr\n0,-1\n").find("not negative") != std::string::npos);
  CHECK(error_of("step,lr,shape\n0,1,square\n").find("Received square") != std::string::npos);
  CHECK(error_of("step,lr,shape\n0,0,exponential\n3,1,\n").find("positive rates") !=
        std::string::npos);
  CHECK(error_of("step,rate\n0,1\n").find("no column lr") != std::string::npos);
  CHECK(error_of("step,lr\n0,1\n1e9,1\n").find("whole number up to") != std::string::npos);
}

TEST_CASE("schedule: runs of several tables in one") {
  const Table a = parse_table("step,lr,loss\n1,1,3\n", TableFormat::csv);
  const Table b = parse_table("loss,step,lr,more\n2,7,0.5,x\n", TableFormat::csv);
  const Table both = join_runs({a, b}, {"first", "second"});
  CHECK(both.rows == 2);
  CHECK(both.find("step")->values == std::vector<double>{1, 7});
  CHECK(both.find("loss")->values == std::vector<double>{3, 2});
  CHECK(run_names(both, {}) == std::vector<std::string>{"first", "second"});
  CHECK(both.find("more") == nullptr);
}

TEST_CASE("schedule: compressed sums equal the sums over every step") {
  // Warm-up with cosine, with a drop at once, and with a linear decay to zero.
  const auto runs = schedules(
      "run,step,lr,shape\ncosine,0,0,linear\ncosine,2159,3e-4,hold\ncosine,2160,3e-4,cosine\n"
      "cosine,24000,3e-5,\ndrop,0,0,linear\ndrop,2159,3e-4,hold\ndrop,8000,9e-5,hold\n"
      "drop,16000,9e-5,\nwsd,0,0,linear\nwsd,2159,3e-4,hold\nwsd,10000,3e-4,linear\n"
      "wsd,12000,0,\n");
  for (const RateSchedule& run : runs) {
    const ScheduleSum sums(run);
    double s1 = 0.0;
    for (size_t k = 0; k <= 5000; ++k) s1 += run.lr[k];
    CHECK(sums.sum(5000) == doctest::Approx(s1).epsilon(1e-12));
    for (const size_t t : {1ul, 15ul, 700ul, 2160ul, 8000ul, 8001ul, 11999ul, 12000ul})
      for (const auto& c :
           {std::array{2.1, 0.6, 0.65}, std::array{0.3, 0.25, 0.3}, std::array{40.0, 1.2, 0.9}}) {
        CAPTURE(run.run);
        CAPTURE(t);
        size_t terms = 0;
        const double exact = exact_sum(run.lr, t, c[0], c[1], c[2]);
        const double quick = compressed_sum(sums, t, c[0], c[1], c[2], terms);
        // In units of the peak rate: B times it is the size of a drop, about 0.1 nats.
        CHECK(std::fabs(quick - exact) < 1e-7 * 3e-4);
        CHECK(terms <= 300);
      }
  }
}
