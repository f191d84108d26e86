// Loads reports in headless Chromium: every plot must have drawn, and nothing may have failed.
#include <doctest/doctest.h>

#include <cstdlib>

#include "coord_fixture.h"
#include "fit_fixture.h"
#include "fixture.h"
#include "report/coord_page.h"
#include "report/fit_page.h"
#include "report/report.h"
#include "temporary.h"

using namespace rung;
using fixture::Stage;

namespace {

std::string find_browser() {
  for (const char* name : {"chromium", "chromium-browser", "google-chrome"})
    if (std::system(fmt::format("command -v {} >/dev/null 2>&1", name).c_str()) == 0) return name;
  return {};
}

// Counts the canvases that hold ink: some pixels painted, not all alike.
constexpr const char* probe = R"(<script>
let inked = 0;
for (const canvas of document.querySelectorAll("canvas")) {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let painted = 0;
  for (let i = 3; i < data.length; i += 4) painted += data[i] > 0;
  inked += painted > 500;
}
document.body.dataset.inked = inked;
</script>)";

std::string attribute(const std::string& page, const std::string& name) {
  const auto body = page.find("<body ");
  const auto from = page.find(name + "=\"", body);
  if (body == std::string::npos || from == std::string::npos) return "absent";
  const auto start = from + name.size() + 2;
  return page.substr(start, page.find('"', start) - start);
}

std::string load(const std::string& browser, const fs::path& folder, const std::string& page,
                 const char* options) {
  write_file(folder / "probe.html", page + probe);
  const auto command = fmt::format(
      "{0} --headless --no-sandbox --disable-gpu --disable-dev-shm-usage "
      "--user-data-dir={1}/profile {2} "
      "--virtual-time-budget=5000 --enable-logging=stderr --dump-dom file://{1}/probe.html "
      ">{1}/dom.html 2>{1}/console.txt",
      browser, folder.string(), options);
  CHECK(std::system(command.c_str()) == 0);
  const auto console = read_file(folder / "console.txt");
  CHECK_MESSAGE(console.find("CONSOLE") == std::string::npos, console);
  return read_file(folder / "dom.html");
}

}  // namespace

TEST_CASE("every plot draws in a browser, without an error") {
  const auto browser = find_browser();
  if (browser.empty() || !report_has_plots()) {
    MESSAGE("skipped: ",
            browser.empty() ? "no Chromium on this machine" : "built without the plotting library");
    return;
  }
  const TemporaryFolder temporary;
  const auto folder = temporary / "climb";
  for (const auto& [stage, plots] : {std::pair{Stage::started, "0"},
                                     {Stage::sweep, "2"},
                                     {Stage::ladder, "3"},
                                     {Stage::done, "5"}})
    for (const char* options : {"--window-size=1280,900", "--window-size=390,844"}) {
      if (stage != Stage::done && options[14] == '3') continue;  // each load takes a second or two
      fixture::write_climb(folder, stage, "a </script> name");
      const auto dom = load(browser, folder, report_page(folder), options);
      CHECK(attribute(dom, "data-expected") == plots);
      CHECK(attribute(dom, "data-plots") == plots);
      CHECK(attribute(dom, "data-inked") == plots);
      CHECK(attribute(dom, "data-errors") == "");
    }
  auto broken = report_page(folder);  // the test itself can fail
  broken.replace(broken.find("\"kind\":\"band\""), 13, "\"kind\":\"zand\"");
  broken.replace(broken.find("new Chart("), 10, "new Chort(");
  CHECK(attribute(load(browser, folder, broken, ""), "data-errors") != "");
}

TEST_CASE("a fit's plots draw in a browser, wide, narrow and dark") {
  const auto browser = find_browser();
  if (browser.empty() || !report_has_plots()) {
    MESSAGE("skipped: ",
            browser.empty() ? "no Chromium on this machine" : "built without the plotting library");
    return;
  }
  const TemporaryFolder temporary;
  const auto folder = temporary / "fit";
  fs::create_directories(folder);
  const auto page = fit_page(fixture::fit_json(), fixture::curves_json(), "fit.json");
  for (const char* options : {"--window-size=1280,900",
                              "--window-size=390,844 --blink-settings=preferredColorScheme=0"}) {
    const auto dom = load(browser, folder, page, options);
    CHECK(attribute(dom, "data-expected") == "6");  // data, residuals, equal FLOPs, three profiles
    CHECK(attribute(dom, "data-plots") == "6");
    CHECK(attribute(dom, "data-inked") == "6");
    CHECK(attribute(dom, "data-errors") == "");
  }
}

TEST_CASE("a coordinate check's plots draw in a browser") {
  const auto browser = find_browser();
  if (browser.empty() || !report_has_plots()) {
    MESSAGE("skipped: ",
            browser.empty() ? "no Chromium on this machine" : "built without the plotting library");
    return;
  }
  const TemporaryFolder temporary;
  const auto folder = temporary / "coord";
  fs::create_directories(folder);
  const auto page = coord_page(fixture::coord_json(), "check");
  const auto dom = load(browser, folder, page, "--window-size=1280,900");
  CHECK(attribute(dom, "data-expected") == "9");  // four quantities twice, alignment
  CHECK(attribute(dom, "data-plots") == "9");
  CHECK(attribute(dom, "data-inked") == "9");
  CHECK(attribute(dom, "data-errors") == "");
}
