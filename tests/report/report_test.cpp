#include "report/report.h"

#include <doctest/doctest.h>

#include <sstream>

#include "core/error.h"
#include "core/events.h"
#include "core/files.h"
#include "core/hash.h"
#include "fixture.h"
#include "report/commands.h"
#include "temporary.h"

using namespace rung;
using fixture::Stage;

namespace {

bool has(const std::string& page, const std::string& text) {
  return page.find(text) != std::string::npos;
}

}  // namespace

TEST_CASE("a finished climb states prediction, measurement and error") {
  const TemporaryFolder temporary;
  const auto folder = temporary / "climb";
  fixture::write_climb(folder, Stage::done);
  write_report(folder);
  const auto page = read_file(folder / "report.html");
  const double predicted = fixture::law(60 * 256.0 * 256.0);
  CHECK(has(page, fmt::format("<strong>{:.4f}</strong>", predicted)));
  CHECK(has(page, fmt::format("<strong>{:.4f}</strong>", 1.0034 * predicted)));
  CHECK(has(page, "−0.34 %"));
  CHECK(has(page, "lies <b>inside</b> the 90 % interval"));
  CHECK(has(page, "<strong>16×</strong>"));
  CHECK(has(page, "carries the hash that was logged"));
  CHECK(has(page, "./rung climb --data default --budget 4min"));
  CHECK_FALSE(has(page, "http-equiv"));
  for (const char* id :
       {"ladder", "error", "checks", "bowl", "curves", "runs", "audit", "reproduce"})
    CHECK_MESSAGE(has(page, fmt::format("<section id=\"{}\">", id)), id);
}

TEST_CASE("the same climb again is its own command with the FLOPs that it came to") {
  const TemporaryFolder temporary;
  const auto folder = temporary / "climb";
  fixture::write_climb(folder, Stage::started);
  const auto again = [&](const Json& start) {
    write_file(folder / "log.jsonl", start.dump() + "\n");
    return again_command(read_climb_files(folder));
  };
  const std::string end = " --budget 25000000000000flop --out " + folder.string() + "-again";
  CHECK(again({{"argv",
                {"/bin/rung", "climb", "a b.toml", "--out=x", "--seed", "3", "--budget", "4min",
                 "--resume", "--set", "model.depth=2"}}}) ==
        "./rung climb 'a b.toml' --seed 3 --set model.depth=2" + end);
  const Json compared = {"/bin/rung",          "climb",    "--compare",  "attention",
                         "ours:model.depth=2", "--repeat", "--together", "--budget=1h"};
  CHECK(again({{"argv", compared}, {"alternative", {"model.depth=2"}}}) ==
        "./rung climb --repeat --set model.depth=2" + end);
  CHECK(again({{"argv", compared}}) == "");  // of which alternative is not known
  CHECK(again({{"event", "start"}}) == "");
}

TEST_CASE("of several measurements of a target trained elsewhere the last one stands") {
  const TemporaryFolder temporary;
  const auto folder = temporary / "climb";
  fixture::write_climb(folder, Stage::predicted);
  for (const double loss : {9.8765, 1.2345})
    append_file(
        folder / "log.jsonl",
        Json{{"event", "end"}, {"status", "done"}, {"measured", {{"loss", loss}}}}.dump() + "\n");
  write_report(folder);
  const auto page = read_file(folder / "report.html");
  CHECK(has(page, "<strong>1.2345</strong>"));
  CHECK(has(page, "Measured before this: 9.8765."));
}

TEST_CASE("nothing on the page comes from elsewhere") {
  const TemporaryFolder temporary;
  const auto folder = temporary / "climb";
  fixture::write_climb(folder, Stage::done);
  const auto page = report_page(folder);
  for (const char* text : {"src=", "href=\"http", "@import", "url(", "fetch("})
    CHECK_MESSAGE(!has(page, text), text);
  CHECK(page.size() < 1'200'000);
}

TEST_CASE("every stage of a running climb has a page that renews itself") {
  const TemporaryFolder temporary;
  const auto folder = temporary / "climb";
  for (const auto stage : {Stage::started, Stage::sweep, Stage::ladder, Stage::predicted}) {
    fixture::write_climb(folder, stage);
    const auto page = report_page(folder);
    CHECK(has(page, "http-equiv=\"refresh\""));
    CHECK(has(page, "running: "));
    CHECK(has(page, "<section id=\"bowl\">") == (stage != Stage::started));
    CHECK(has(page, "<section id=\"audit\">") == (stage == Stage::predicted));
  }
}

TEST_CASE("one sweep has one optimum, several have a spread") {
  const TemporaryFolder temporary;
  const auto folder = temporary / "climb";
  fixture::write_climb(folder, Stage::sweep);
  CHECK(has(report_page(folder), "Stars mark the optima"));
  std::istringstream table(read_file(folder / "runs.csv"));
  std::string head, line, first, kept;
  std::getline(table, head);
  while (std::getline(table, line)) {
    const std::string run = line.substr(0, line.find(','));
    if (first.empty()) first = run;
    if (run == first) kept += line + "\n";
  }
  write_file(folder / "runs.csv", head + "\n" + kept);
  CHECK(has(report_page(folder), "The star marks the optimum, 2<sup>−"));
}

TEST_CASE("a changed prediction is shown as changed") {
  const TemporaryFolder temporary;
  const auto folder = temporary / "climb";
  fixture::write_climb(folder, Stage::done);
  append_file(folder / "prediction.json", "\n");
  CHECK(has(report_page(folder), "does <b>not</b> carry the hash"));
  // Nor does a line that is logged behind it make it the recorded one.
  JsonLog(folder / "log.jsonl")
      .write({{"event", "prediction"}, {"sha256", sha256_file(folder / "prediction.json")}});
  CHECK(has(report_page(folder), "does <b>not</b> carry the hash"));
}

TEST_CASE("text from files is escaped wherever it stands") {
  const TemporaryFolder temporary;
  const auto folder = temporary / "climb";
  fixture::write_climb(folder, Stage::done, "</script><img src=x onerror=alert(1)>&'");
  auto table = read_file(folder / "runs.csv");
  table += "<b>bad</b>,0,ladder,<i>,1,64,4,1,0.01,2048,245760,4915200,7e12,1.5,0.001,0.004,2,3\n";
  write_file(folder / "runs.csv", table);
  const auto page = report_page(folder);
  CHECK_FALSE(has(page, "<img"));
  CHECK_FALSE(has(page, "<b>bad"));
  CHECK(has(page, "&lt;b&gt;bad&lt;/b&gt;"));
}

TEST_CASE("torn and broken files leave notes, not failures") {
  const TemporaryFolder temporary;
  const auto folder = temporary / "climb";
  fixture::write_climb(folder, Stage::done);
  append_file(folder / "runs.csv", "ladder-w999,0,lad");
  append_file(folder / "log.jsonl", "{\"event\": \"st");
  write_file(folder / "fit.json", "{\"law\": ");
  const auto page = report_page(folder);
  CHECK_FALSE(has(page, "ladder-w999"));
  CHECK(has(page, "fit.json"));
  CHECK(has(page, "Measured"));
}

TEST_CASE("an empty folder gives a page, a missing one an error") {
  const TemporaryFolder temporary;
  const auto folder = temporary / "climb";
  fs::create_directories(folder);
  CHECK(has(report_page(folder), "No run has finished yet."));
  CHECK(error_of([&] { report_page(temporary / "absent"); }).find("does not exist") !=
        std::string::npos);
}
