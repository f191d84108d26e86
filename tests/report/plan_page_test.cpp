#include "report/plan_page.h"

#include <doctest/doctest.h>

#include "plan_fixture.h"

using namespace rung;

namespace {

bool contains(const std::string& text, const char* part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("plan page: every part of a plan is shown") {
  const std::string page = plan_page(fixture::plan_json(), "a <plan>");
  for (const char* part :
       {"a &lt;plan&gt;", "The basin", "1.1B to 3.9B", "2048 × 37", "+0.00 %", "Preferred width",
        "limited by memory", "batch: no fit given", "beware of &lt;this&gt;", "step.json",
        "too large", "bits.json", "Runs to train next", "40.0 %", "2.2900 to 2.3300", "</html>",
        "C is 7.72 times the largest in the data", "<th class=\"n\">time</th>"}) {
    CAPTURE(part);
    CHECK(contains(page, part));
  }
  CHECK_FALSE(contains(page, "granularity"));  // no part of this choice
  CHECK_FALSE(contains(page, "D/N is"));       // within the data
  Json untimed = fixture::plan_json();
  untimed["seconds"] = nullptr;
  CHECK_FALSE(contains(plan_page(untimed, "untimed"), ">time</th>"));
  CHECK(contains(plan_page(untimed, "untimed"), "<small>6 N D</small>"));
  untimed["C"] = 2.0 * untimed["C"].get<double>();
  CHECK(contains(plan_page(untimed, "untimed"), "<small>attention or routers included</small>"));
  untimed["limits"] = {"latency", "flops"};
  CHECK(contains(plan_page(untimed, "untimed"), "note\">budget</span> limited by flops"));
  CHECK(contains(plan_page(untimed, "untimed"), "warning\">limit</span> limited by latency"));
  CHECK(contains(page, "data-plot=\"basin\"") == contains(page, "data-expected=\"1\""));
}

TEST_CASE("plan page: parts that a plan lacks are left out, and plans are told from fits") {
  Json plan = fixture::plan_json();
  for (const char* key : {"basin", "choice", "alternatives", "design", "aspect"}) plan.erase(key);
  plan["shapes"] = plan["lr"] = Json::array();
  const std::string page = plan_page(plan, "bare");
  for (const char* part : {"The basin", "Real shapes", "Runs to train next", "Bits and experts"})
    CHECK_FALSE(contains(page, part));
  CHECK(contains(page, "data-expected=\"0\""));
  CHECK(is_plan(plan));
  CHECK_FALSE(is_plan({{"status", "fitted"}}));
  CHECK_FALSE(is_plan(Json::array()));
  plan["given"] = {{"excess", 0.021}, {"best_N", 2e9}, {"best_loss", 2.3}};
  CHECK(contains(plan_page(plan, "given"), "+2.10 %"));
}
