#include "report/compare_page.h"

#include <doctest/doctest.h>

#include "compare_fixture.h"

using namespace rung;

namespace {

bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("a measured target stands beside each range of its own, and one outside is a warning") {
  const std::string page = compare_page(fixture::comparison_json(), "two climbs");
  CHECK(holds(page, "2.3000 .. 2.3150</td><td class=\"n\">2.3200</td>"));   // ranking
  CHECK(holds(page, "<td>yes</td><td class=\"n\">2.3000 .. 2.3150</td>"));  // and check
  const size_t ranking = page.find("id=\"ranking\""), curves = page.find("id=\"curves\"");
  const size_t warning =
      page.find("attention: its target measured 2.3200, outside of &lt;a range&gt;.");
  CHECK((ranking < warning && warning < curves));
}

TEST_CASE("a comparison of an earlier build has a page without warnings") {
  Json comparison = fixture::comparison_json();
  comparison.erase("warnings");
  CHECK_FALSE(holds(compare_page(comparison, "two climbs"), "badge warning"));
}
