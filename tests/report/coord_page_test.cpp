#include "report/coord_page.h"

#include <doctest/doctest.h>

#include "coord_fixture.h"

using namespace rung;

namespace {

bool contains(const std::string& text, const char* part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("coord page: verdict, reasons, plots of every quantity, every slope") {
  const std::string page = coord_page(fixture::coord_json(), "a <check>");
  for (const char* part : {"a &lt;check&gt;", "mup &lt;&amp;&gt;", "badge bad", "3 of 12",
                           "goes &lt;down&gt;", "Over width", "RMS of outputs", "Alignment",
                           "-0.600", "\"label\":\"ffn.down\"", "</html>"}) {
    CAPTURE(part);
    CHECK(contains(page, part));
  }
  // Sizes and exponents of four quantities, and the alignment.
  CHECK(contains(page, "data-plot=\"width-step\"") == contains(page, "data-expected=\"9\""));
  CHECK_FALSE(contains(page, "Over depth"));
}

TEST_CASE("coord page: a rule without promises is reported, and checks are told from other files") {
  Json coord = fixture::coord_json();
  coord["status"] = "reported";
  coord["reasons"] = coord["alignment"] = Json::array();
  for (Json& s : coord["slopes"]) s["promised"] = Json(), s["verdict"] = "none";
  const std::string page = coord_page(coord, "t");
  CHECK(contains(page, "promises nothing"));
  CHECK_FALSE(contains(page, "id=\"alignment\""));
  CHECK(is_coord(coord));
  CHECK_FALSE(is_coord({{"status", "planned"}}));
  CHECK_FALSE(is_coord(Json::array()));
}
