#include "report/fit_page.h"

#include <doctest/doctest.h>

#include "fit_fixture.h"

using namespace rung;

namespace {

bool contains(const std::string& text, const char* part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("fit page: sections follow what the fit holds") {
  const std::string page = fit_page(fixture::fit_json(), fixture::curves_json(), "a <b> fit");
  for (const char* part :
       {"a &lt;b&gt; fit", "Profile likelihood", "0.31 to open", "At equal FLOPs",
        "color of the nearest line", "narrow-range", "Forms", "broken-power", "</html>"}) {
    CAPTURE(part);
    CHECK(contains(page, part));
  }
  const std::string own = page.substr(0, page.find("<script>"));  // before the plotting library
  CHECK_FALSE(contains(own, "http://"));
  CHECK_FALSE(contains(own, "https://"));
}

TEST_CASE("fit page: a refused fit shows its reasons and no plot") {
  Json fit = fixture::fit_json();
  fit["status"] = "refused";
  for (const char* key : {"profiles", "fitted", "forms"}) fit.erase(key);
  fit["coefficients"] = Json::object();
  const std::string page = fit_page(fit, Json::object(), "refused");
  CHECK(contains(page, "do not determine"));
  CHECK(contains(page, "not fitted to"));
  CHECK(contains(page, "narrow-range"));
  CHECK(contains(page, "data-expected=\"0\""));
}

TEST_CASE("fit page: a procedure's budgets and further quantities are drawn") {
  Json fit = fixture::fit_json();
  const std::string without = fit_page(fit, fixture::curves_json(), "fit");
  CHECK_FALSE(contains(without, "IsoFLOP curves"));
  fit["derivation"] = {{"curves", 12}, {"rows", 240}};  // other procedures count theirs
  CHECK_FALSE(contains(fit_page(fit, fixture::curves_json(), "fit"), "IsoFLOP curves"));
  const Json rows = {{1e8, 3.1}, {3e8, 3.0}, {1e9, 3.05}};
  fit["derivation"] = {
      {"rows", 35},
      {"budgets", {{{"C", 1e19}, {"status", "used"}, {"N_opt", 3e8}, {"L_opt", 3.0}}}},
      {"budget_curves",
       {{{"C", 1e19}, {"rows", rows}, {"curve", rows}},
        {{"C", 1e20}, {"rows", rows}, {"curve", Json::array()}}}}};
  Json curves = fixture::curves_json();
  Json part = fixture::fit_json();
  part["formula"] = "D_opt = k_D C^a_D";
  part["target"] = "D_opt";
  fit["parts"] = {part, part};
  curves["parts"] = {fixture::curves_json(), fixture::curves_json()};
  // A chain of laws has the diagnostics and checklists of its links alone.
  part["law"] = "downstream.accuracy_of_L";
  fit["parts"].push_back(part);
  fit.erase("checklist");
  const std::string page = fit_page(fit, curves, "fit");
  for (const char* text :
       {"accuracy_of_L: N spans", "accuracy_of_L: fitting", "IsoFLOP curves", "plot-budgets",
        "plot-part-1", "plot-part-2", "D_opt = k_D C^a_D", "points derived from 35 rows"}) {
    CAPTURE(text);
    CHECK(contains(page, text));
  }
}
