// Loads every page in headless Chromium, wide and as narrow as a phone, light and dark: every plot
// must have drawn, nothing may have failed or reach beyond the window.
#include <doctest/doctest.h>

#include <cstdlib>
#include <map>

#include "compare_fixture.h"
#include "coord_fixture.h"
#include "fit_fixture.h"
#include "fixture.h"
#include "plan_fixture.h"
#include "report/chart_parts.h"
#include "report/compare_page.h"
#include "report/coord_page.h"
#include "report/fit_page.h"
#include "report/page_frame.h"
#include "report/plan_page.h"
#include "report/report.h"
#include "report/scales_page.h"
#include "scales_fixture.h"
#include "temporary.h"

using namespace rung;
using fixture::Stage;

namespace {

std::string find_browser() {
  for (const char* name : {"chromium", "chromium-browser", "google-chrome"})
    if (std::system(fmt::format("command -v {} >/dev/null 2>&1", name).c_str()) == 0) return name;
  return {};
}

// Counts the canvases that hold ink (some pixels painted), what the window does not hold, and
// labels of axes that are not their ticks' values, stand on one another or beyond their plot.
// `hovers`: what each plot's first mark says when it is pointed at.
constexpr const char* probe = R"js(<script>
{
  let inked = 0;
  for (const canvas of document.querySelectorAll("canvas")) {
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    let painted = 0;
    for (let i = 3; i < data.length; i += 4) painted += data[i] > 0;
    inked += painted > 500;
  }
  const superscripts = "⁰¹²³⁴⁵⁶⁷⁸⁹", units = { k: 1e3, M: 1e6, B: 1e9, T: 1e12 };
  const exponent = (text) =>
    Number([...text].map((c) => (c === "⁻" ? "-" : superscripts.indexOf(c))).join(""));
  const parts = /^([+−]?)(?:([0-9.]+)·?)??(?:(10|2)([⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+))?([kMBT]?)(?: %)?$/;
  const read = (label) => {
    const [, sign, digits, base, power, unit] = parts.exec(label) ?? [];
    const size = Number(digits ?? 1) * (base ? Number(base) ** exponent(power) : 1) * (units[unit] ?? 1);
    return sign === "−" ? -size : size;
  };
  const faults = [], hovers = [];
  function judge(chart, axis) {
    const { ticks } = axis, all = ticks.map((tick) => tick.label).join(" | ");
    const fail = (what) => faults.push(`${chart.canvas.dataset.plot} ${axis.id} ${what}: ${all}`);
    if (ticks.length < 2 || new Set(ticks.map((tick) => tick.label)).size < ticks.length) fail("tell nothing apart");
    const close = (a, b, of) => Math.abs(a - b) <= 1e-9 * Math.abs(of);
    if (!ticks.every(({ value, label }) => close(value, read(label), value))) fail("say other values");
    const step = (i) => ticks[i].value - ticks[i - 1].value;
    const even = ticks.length > 2 && ticks.every((_, i) => i < 2 || close(step(i), step(1), 1e3 * step(1)));
    const decimals = new Set(ticks.map(({ label }) => (/\.([0-9]+)/.exec(label)?.[1] ?? "").length));
    if (even && decimals.size > 1) fail("differ in decimals");
    const across = axis.isHorizontal();
    chart.ctx.font = `12px ${Chart.defaults.font.family}`;
    const size = ({ label }) => (across ? chart.ctx.measureText(label).width + 4 : 12);
    const spans = ticks.map((tick, i) => [-0.5, 0.5].map((side) => axis.getPixelForTick(i) + side * size(tick)));
    spans.sort((a, b) => a[0] - b[0]);
    if (spans.some(([from], i) => i > 0 && from < spans[i - 1][1])) fail("overlap");
    const most = across ? chart.width : chart.height;
    if (spans[0][0] < 0 || spans.at(-1)[1] > most) fail("are cut");
  }
  for (const canvas of document.querySelectorAll("canvas")) {
    const chart = window.Chart?.getChart(canvas);
    if (!chart) continue;
    for (const axis of Object.values(chart.scales)) if (axis.type !== "category") judge(chart, axis);
    const { label } = chart.options.plugins.tooltip.callbacks;
    hovers.push([label({ dataset: chart.data.datasets[0], dataIndex: 0 })].flat().join(": "));
  }
  const { scrollWidth, clientWidth } = document.documentElement;
  Object.assign(document.body.dataset, { inked, faults: faults.join("\n"), hovers: hovers.join("\n"),
    overflow: scrollWidth - clientWidth, width: innerWidth,
    dark: matchMedia("(prefers-color-scheme: dark)").matches, ground: getComputedStyle(document.body).backgroundColor
});
}
</script>)js";

// One window holds all pages as frames, each twice: a launch of the browser takes longer than a
// page, and a window of its own is never narrower than 500 pixels.
constexpr int wide = 1280, narrow = 390;
constexpr const char* gather = R"js(<script>
addEventListener("load", () => {
  const found = [...document.querySelectorAll("iframe")].map((frame) => ({ ...frame.contentDocument.body.dataset }));
  document.body.dataset.found = encodeURIComponent(JSON.stringify(found));
});
</script>)js";

std::string decode(const std::string& text) {
  std::string result;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%')
      result += static_cast<char>(std::stoi(text.substr(i + 1, 2), nullptr, 16)), i += 2;
    else
      result += text[i];
  }
  return result;
}

// What the probe found, as {page: [wide, narrow]}.
std::map<std::string, Json> load(const std::string& browser, const fs::path& folder, bool dark,
                                 const std::map<std::string, std::string>& pages) {
  std::string frames;
  for (const auto& [name, page] : pages) {
    write_file(folder / (name + ".html"), page + probe);
    for (const int width : {wide, narrow})
      frames += fmt::format("<iframe src=\"{}.html\" width={} height=844></iframe>\n", name, width);
  }
  write_file(folder / "pages.html",
             "<!doctype html><meta name=\"color-scheme\" content=\"light dark\"><body>\n" + frames +
                 gather + "</body>");
  const auto command = fmt::format(
      "{0} --headless --no-sandbox --disable-gpu --disable-dev-shm-usage "
      "--user-data-dir={1}/profile --allow-file-access-from-files --window-size=1400,900 "
      "--blink-settings=preferredColorScheme={2} --virtual-time-budget=20000 "
      "--enable-logging=stderr --dump-dom file://{1}/pages.html >{1}/dom.txt 2>{1}/console.txt",
      browser, folder.string(), dark ? 0 : 1);
  CHECK(std::system(command.c_str()) == 0);
  const auto console = read_file(folder / "console.txt");
  CHECK_MESSAGE(console.find("CONSOLE") == std::string::npos, console);
  const auto dom = read_file(folder / "dom.txt");
  const std::string key = "data-found=\"";
  const auto start = dom.find(key);
  REQUIRE(start != std::string::npos);
  const auto from = start + key.size();
  const Json found = Json::parse(decode(dom.substr(from, dom.find('"', from) - from)));
  std::map<std::string, Json> result;
  size_t next = 0;
  for (const auto& [name, page] : pages)
    for (int i = 0; i < 2; ++i) result[name].push_back(found.at(next++));
  return result;
}

// Every kind of page and how many plots it has.
struct Gallery {
  std::map<std::string, std::string> pages, plots;
  void add(const std::string& name, const char* count, std::string page) {
    pages[name] = std::move(page);
    plots[name] = count;
  }
};

Gallery every_page(const fs::path& folder) {
  Gallery all;
  for (const auto& [stage, name, plots] : {std::tuple{Stage::started, "climb-started", "0"},
                                           {Stage::sweep, "climb-sweep", "2"},
                                           {Stage::ladder, "climb-ladder", "3"},
                                           {Stage::done, "climb-done", "5"}}) {
    fixture::write_climb(folder / "climb", stage, "a </script> name");
    all.add(name, plots, report_page(folder / "climb"));
  }
  // Data, residuals, equal FLOPs, three profiles; then four quantities twice and alignment.
  all.add("fit", "6", fit_page(fixture::fit_json(), fixture::curves_json(), "fit.json"));
  all.add("coord", "9", coord_page(fixture::coord_json(), "check"));
  all.add("plan", "1", plan_page(fixture::plan_json(), "a plan"));
  all.add("comparison", "2", compare_page(fixture::comparison_json(), "two climbs"));
  all.add("scales", "0", scales_page(fixture::scales_json(), "an annotated model"));
  return all;
}

}  // namespace

TEST_CASE("every page draws in a browser, wide and narrow, light and dark" *
          doctest::test_suite("slow")) {
  const auto browser = find_browser();
  if (browser.empty() || !report_has_plots()) {
    MESSAGE("skipped: ",
            browser.empty() ? "no Chromium on this machine" : "built without the plotting library");
    return;
  }
  const TemporaryFolder folder;
  const Gallery all = every_page(folder.path);
  std::map<bool, std::string> grounds;
  for (const bool dark : {false, true}) {
    const auto found = load(browser, folder.path, dark, all.pages);
    for (const auto& [name, plots] : all.plots)
      for (const Json& view : found.at(name)) {
        const std::string where = name + (dark ? ", dark: " : ", light: ") + view.dump();
        CAPTURE(where);
        CHECK(view.at("width") == std::to_string(&view == &found.at(name)[0] ? wide : narrow));
        CHECK(view.at("dark") == (dark ? "true" : "false"));
        CHECK(view.at("expected") == plots);
        CHECK(view.at("plots") == plots);
        CHECK(view.at("inked") == plots);
        CHECK(view.at("errors") == "");
        CHECK(view.at("faults") == "");
        CHECK(view.at("overflow") == "0");
        grounds[dark] = view.at("ground").get<std::string>();
      }
  }
  CHECK(grounds[false] != grounds[true]);
}

TEST_CASE("every page begins with a card that says what it is of") {
  const TemporaryFolder folder;
  for (const auto& [name, page] : every_page(folder.path).pages) {
    CAPTURE(name);
    const size_t card = page.find("<main>\n<header><div class=\"brand\">"),
                 title = page.find("<h1>");
    CHECK(card != std::string::npos);
    CHECK(title < page.find("</header>"));
    CHECK(page.find("<header>", title) == std::string::npos);
  }
}

TEST_CASE("the browser's test notices what fails") {
  const auto browser = find_browser();
  if (browser.empty() || !report_has_plots()) return;
  const TemporaryFolder folder;
  fixture::write_climb(folder / "climb", Stage::done, "broken");
  auto broken = report_page(folder / "climb");
  broken.replace(broken.find("\"kind\":\"band\""), 13, "\"kind\":\"zand\"");
  broken.replace(broken.find("new Chart("), 10, "new Chort(");
  broken.replace(broken.find("</h1>"), 5, "</h1><div style=\"width:2000px\">wide</div>");
  const auto found = load(browser, folder.path, false, {{"broken", broken}});
  for (const Json& view : found.at("broken")) {
    CHECK(view.at("errors") != "");
    CHECK(view.at("overflow") != "0");
  }
}

TEST_CASE("axes say the values of their ticks, and marks their own, at any magnitude") {
  const auto browser = find_browser();
  if (browser.empty() || !report_has_plots()) return;
  struct Case {
    double low, high;
    bool log;
    const char *format, *hover;  // hover: the mark at `low`
  };
  const std::vector<Case> cases = {
      {1.86, 1.98, true, "loss", "1.8600"},             // steps of 0.025, on a logarithmic axis
      {1.86, 1.98, false, "number", "1.86"},            // and on a linear one
      {3.14159, 3.14181, false, "loss", "3.1416"},      // labels that four decimals would repeat
      {1.0003e9, 1.0042e9, false, "count", "1.0003B"},  // counts of a billion and some
      {9.6e5, 1.08e6, true, "count", "960k"},           // across the step from k to M
      {2.41e12, 3.96e12, true, "power", "2.41·10¹²"},   // less than a decade
      {2.4e10, 7.1e14, true, "power", "2.4·10¹⁰"},      // several
      {3e-4, 2e11, true, "power", "3·10⁻⁴"},            // many
      {21.5, 48.0, true, "power", "21.5"},              // seconds
      {1.1e-7, 3.9e-7, false, "number", "1.1·10⁻⁷"},    // small
      {-0.31, 0.11, false, "percent", "−0.31 %"},       // signed
      {-4e-5, 2e-4, false, "percent", "−4·10⁻⁵ %"},     // of a fit that leaves next to nothing
      {0.004, 9.1, false, "plain", "0.004 %"},          // a percent whose axis says so
      {0.11, 0.19, true, "pow2", "0.11"},               // less than an octave
      {0.125, 4.0, true, "pow2", "2⁻³"},                // five
      {-2.5e9, 1.5e9, false, "number", "−2.5·10⁹"}};    // large
  Json charts = Json::array();
  std::string html, hovers;
  for (size_t i = 0; i < cases.size(); ++i) {
    const Case& c = cases[i];
    Json chart = new_chart(fmt::format("axis{}", i).c_str(), "an axis", axis("x", c.log, c.format),
                           axis("y", c.log, c.format));
    push_series(chart, {{"label", "mark"},
                        {"kind", "points"},
                        {"color", "law"},
                        {"data", {{c.low, c.low}, {c.high, c.high}}}});
    html += figure(charts, chart, c.format, "");
    hovers += fmt::format("{0}mark: {1} at {1}", i == 0 ? "" : "\n", c.hover);
  }
  const TemporaryFolder folder;
  const auto found =
      load(browser, folder.path, false, {{"axes", page_frame("axes", html, charts)}});
  for (const Json& view : found.at("axes")) {
    CHECK(view.at("plots") == std::to_string(cases.size()));
    CHECK(view.at("errors") == "");
    CHECK(view.at("faults") == "");
    CHECK(view.at("hovers") == hovers);
  }
}
