#include "report/scales_page.h"

#include <doctest/doctest.h>

#include "scales_fixture.h"

using namespace rung;

namespace {

size_t count(const std::string& text, const std::string& part) {
  size_t found = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

}  // namespace

TEST_CASE("scales page: a panel a step, a row a tensor, bars where their powers of two are") {
  const std::string page = scales_page(fixture::scales_json(), "an <annotated> model");
  CHECK(count(page, "an &lt;annotated&gt; model") == 2);  // title and heading
  CHECK(count(page, "<down>") == 0);
  CHECK(count(page, "class=\"panel\"") == 2);
  CHECK(count(page, "class=\"row tensor\"") == 6);
  CHECK(count(page, "all zero") == 2);
  CHECK(count(page, "class=\"mark\"") == 4);
  CHECK(count(page, "12 % → 0.1 % at 2<sup>7</sup>") == 4);
  // The axis runs from 2^-26 to 2^18: RMS 2^-2 stands at 24/44 of it, E4M3 from 2^-6 (20/44).
  CHECK(count(page, "class=\"mark\" style=\"left:54.55%\"") == 4);
  CHECK(count(page, "class=\"normal\" style=\"left:45.45%") == 1);
  CHECK(count(page, "#step-1:checked~#panel-1") == 1);
  CHECK(count(page, "data-expected=\"0\"") == 1);  // no plot waits for the library
}

TEST_CASE("scales page: deep models show some layers, and the file is told from others") {
  Json scales = fixture::scales_json();
  scales["depth"] = 32;
  for (int layer = 1; layer < 32; ++layer) {
    Json t = scales["tensors"][0];
    t["layer"] = layer;
    scales["tensors"].push_back(t);
  }
  // Layers 0, 7, 14, 21, 28 and 31 at step 0, and the other five of the fixture.
  CHECK(count(scales_page(scales, "t"), "class=\"row tensor\"") == 6 + 5);
  CHECK(is_scales(scales));
  CHECK_FALSE(is_scales({{"kind", "comparison"}}));
  CHECK_FALSE(is_scales(Json::array()));
}
