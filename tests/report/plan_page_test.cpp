#include "report/plan_page.h"

#include <doctest/doctest.h>

using namespace rung;

namespace {

// What `rung plan --out` writes, cut to what a page reads.
Json plan_json() {
  return Json::parse(R"json({
    "status": "planned", "N": 2.0e9, "D": 8.0e10, "C": 9.6e20, "loss": 2.31, "lo": 2.28,
    "hi": 2.34, "level": 0.9, "source": "fit.json (chinchilla)", "seconds": 86400,
    "intervals": {"N": {"lo": 1.7e9, "hi": 2.4e9}, "D": {"lo": 7.0e10, "hi": 9.4e10}},
    "flat": {"within": 0.005, "N": {"lo": 1.1e9, "hi": 3.9e9}, "D": {"lo": 4e10, "hi": 1.5e11}},
    "limits": ["memory"], "unknown": ["batch"], "remarks": ["beware of <this>"],
    "shapes": [{"width": 2048, "depth": 37, "heads": 16, "head_size": 128, "N": 2.02e9,
                "D": 7.9e10, "loss": 2.3101, "excess": 4e-5, "seconds": 86000, "memory": 3.2e10}],
    "aspect": {"name": "width/depth", "value": 55.0, "lo": 50.0, "hi": 60.0, "source": "a rule"},
    "batch": [], "lr": [{"name": "lr", "value": 1e-3, "lo": 9e-4, "hi": 1.1e-3,
                         "source": "step.json", "note": ""}],
    "basin": [{"N": 1e9, "D": 1.6e11, "loss": 2.33, "lo": 2.30, "hi": 2.36},
              {"N": 2e9, "D": 8e10, "loss": 2.31, "lo": 2.28, "hi": 2.34}],
    "choice": {"bits": 8, "experts": null, "granularity": null, "accuracy": null,
               "source": "bits.json"},
    "alternatives": [
      {"bits": 4, "possible": true, "N": 3e9, "N_total": 3e9, "D": 5e10, "loss": 2.4,
       "support": 0.1},
      {"bits": 16, "possible": false}],
    "design": {"runs": [{"N": 5e8, "D": 1e10, "flops": 3e19, "variance_removed": 0.4,
                         "deviation_left": 0.77}],
               "before": {"lo": 2.28, "hi": 2.34}, "after": {"lo": 2.29, "hi": 2.33},
               "flops": 3e19}})json");
}

bool contains(const std::string& text, const char* part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("plan page: every part of a plan is shown") {
  const std::string page = plan_page(plan_json(), "a <plan>");
  for (const char* part :
       {"a &lt;plan&gt;", "The basin", "1.1B to 3.9B", "2048 × 37", "+0.00 %", "Preferred width",
        "limited by memory", "batch: no fit given", "beware of &lt;this&gt;", "step.json",
        "too large", "bits.json", "Runs to train next", "40.0 %", "2.2900 to 2.3300", "</html>"}) {
    CAPTURE(part);
    CHECK(contains(page, part));
  }
  CHECK_FALSE(contains(page, "granularity"));  // no part of this choice
  CHECK(contains(page, "data-plot=\"basin\"") == contains(page, "data-expected=\"1\""));
}

TEST_CASE("plan page: parts that a plan lacks are left out, and plans are told from fits") {
  Json plan = plan_json();
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
