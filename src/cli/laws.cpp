// rung laws: the table of laws, one line each.
#include "cli/verb.h"
#include "core/table.h"
#include "law/law.h"
#include "law/laws_json.h"

namespace rung {
namespace {

int run_laws(const Arguments& arguments) {
  const Json tables = laws_to_json();
  std::vector<TableRow> rows;
  for (const char* table : {"laws", "procedures"})
    for (const Json& entry : tables[table])
      rows.push_back({entry["name"].get<std::string>(), entry["formula"].get<std::string>(),
                      entry["source"].get<std::string>()});
  for (const LawFamily* family : law_families())
    rows.push_back({std::string(family->name), "made from its arguments", ""});
  arguments.out->result(tables, text_table({"law", "formula", "source"}, rows));
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
