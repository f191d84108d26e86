// rung laws: the table of laws, one line each.
#include "cli/verb.h"
#include "core/table.h"
#include "law/law.h"

namespace rung {
namespace {

int run(const Arguments& arguments) {
  Json list = Json::array();
  std::vector<TableRow> rows;
  for (const Law* law : laws()) {
    Json coefficients = Json::array();
    for (const Coefficient& c : law->coefficients)
      coefficients.push_back({{"name", c.name},
                              {"meaning", c.meaning},
                              {"lo", json_number(c.lo)},
                              {"hi", json_number(c.hi)}});
    list.push_back({{"name", law->name},
                    {"formula", law->formula},
                    {"target", law->target},
                    {"objective", law->objective},
                    {"inputs", law->inputs},
                    {"coefficients", coefficients},
                    {"identifiable", law->identifiable},
                    {"source", law->source}});
    rows.push_back({std::string(law->name), std::string(law->formula), std::string(law->source)});
  }
  for (const LawFamily* family : law_families())
    rows.push_back({std::string(family->name), "made from its arguments", ""});
  arguments.out->result({{"laws", list}}, text_table({"law", "formula", "source"}, rows));
  return 0;
}

}  // namespace

extern const Verb laws_verb;
const Verb laws_verb{.name = "laws",
                     .group = "tables",
                     .summary = "list the scaling laws that fit knows, with their formulas",
                     .example = "rung laws",
                     .options = {},
                     .run = run};

}  // namespace rung
