// rung laws: the table of laws, with formulas and sources.
#include <fmt/format.h>

#include "cli/verb.h"
#include "law/law.h"
#include "law/laws_json.h"

namespace rung {
namespace {

int run_laws(const Arguments& arguments) {
  const Json tables = laws_to_json();
  // Formulas and sources stand below each other: side by side they would be 210 columns wide.
  std::string text;
  for (const char* table : {"laws", "procedures"})
    for (const Json& entry : tables[table])
      text += fmt::format("{}\n    {}\n    {}\n", entry["name"].get<std::string>(),
                          entry["formula"].get<std::string>(), entry["source"].get<std::string>());
  for (const LawFamily* family : law_families())
    text += fmt::format("{}\n    made from its arguments\n", family->name);
  arguments.out->result(tables, text);
  return 0;
}

}  // namespace

extern const Verb laws_verb;
const Verb laws_verb{.name = "laws",
                     .group = "tables",
                     .summary = "list the scaling laws that fit knows, with their formulas",
                     .example = "rung laws",
                     .options = {},
                     .run = run_laws};

}  // namespace rung
