// A program of the real frame whose verbs end in every way that a verb can end.
#include <chrono>
#include <thread>

#include "cli/interrupt.h"
#include "cli/verb.h"
#include "core/error.h"

namespace rung {
namespace {

int echo(const Arguments& a) {
  Json json = {{"law", a.text("--law")},       {"given", a.has("--law")}, {"set", a.list("--set")},
               {"table", a.text("TABLE.csv")}, {"more", a.list("MORE")},  {"threads", a.threads},
               {"device", a.device},           {"fast", a.flag("--fast")}};
  if (a.has("--count")) json["count"] = a.integer("--count");
  a.out->note("a remark");
  a.out->progress({.label = "echo", .done = 1, .total = 2, .seconds = 1});
  a.out->result(json, "law " + a.text("--law"));
  return 0;
}

int fails(const Arguments&) {
  fail("[probe] The disk is full. Received 0 bytes.");
}
int refuses(const Arguments&) {
  refuse("[probe] The points do not determine the law.");
}
int breaks(const Arguments&) {
  throw std::runtime_error("one line\nand another");
}
int misreads(const Arguments&) {
  Json::object().at("loss");
  return 0;
}
int reports(const Arguments& a) {
  a.out->result({{"status", "refused"}, {"diagnostics", Json::array()}}, "refused");
  return 3;
}

int waits(const Arguments& a) {
  a.out->text("ready\n");
  for (int i = 0; i < 1000; ++i) {
    if (a.interrupted() && !a.flag("--stubborn")) {
      if (a.flag("--slowly")) std::this_thread::sleep_for(std::chrono::milliseconds(500));
      a.out->note("saved");
      return interrupt_status();
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return 0;
}

const std::vector<Option> echo_options = {
    {.name = "TABLE.csv", .help = "table of runs", .required = true},
    {.name = "MORE", .takes = Takes::list, .help = "NAME=value pairs"},
    {.name = "--law",
     .help = "law",
     .default_text = "chinchilla",
     .choices = {"chinchilla", "power"}},
    {.name = "--set", .takes = Takes::list, .help = "key=value"},
    {.name = "--count", .help = "a number"},
    {.name = "--fast", .takes = Takes::flag, .help = "a flag"}};

const std::array<Verb, 8> verbs = {
    {{.name = "echo",
      .group = "one",
      .summary = "print its arguments",
      .example = "probe echo runs.csv N=7e9",
      .options = echo_options,
      .run = echo},
     {.name = "climb", .group = "one", .summary = "what others are told to use", .run = fails},
     {.name = "fails", .group = "one", .run = fails},
     {.name = "refuses", .group = "two", .run = refuses},
     {.name = "breaks", .group = "two", .run = breaks},
     {.name = "misreads", .group = "two", .run = misreads},
     {.name = "reports", .group = "two", .run = reports, .trains = true},
     {.name = "waits",
      .group = "two",
      .options = {{.name = "--stubborn", .takes = Takes::flag},
                  {.name = "--slowly", .takes = Takes::flag}},
      .run = waits}}};

}  // namespace
}  // namespace rung

int main(int argc, char** argv) {
  std::vector<const rung::Verb*> table;
  for (const rung::Verb& verb : rung::verbs) table.push_back(&verb);
  return rung::run_program(argc, argv, "rung", table, {}, {{"Probe", "1"}});
}
