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
  for (const char* part : {"a &lt;b&gt; fit", "Profile likelihood", "0.31 to open",
                           "At equal FLOPs", "narrow-range", "Forms", "broken-power", "</html>"}) {
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
