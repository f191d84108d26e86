// rung laws: the table of laws, one line each.
#include "cli/verb.h"
#include "core/table.h"
#include "law/law.h"
#include "law/procedure.h"

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
  Json derived = Json::array();
  for (const Procedure* procedure : procedures()) {
    Json parts = Json::array(), settings = Json::object(), columns = Json::array();
    for (const Law* law : procedure->laws)
      parts.push_back({{"name", law->name}, {"target", law->target}, {"formula", law->formula}});
    for (const Setting& setting : procedure->settings)
      settings[std::string(setting.name)] = {{"value", setting.value},
                                             {"meaning", setting.meaning}};
    for (const RawColumn& column : procedure->columns)
      columns.push_back({{"name", column.name}, {"optional", column.optional}});
    derived.push_back({{"name", procedure->name},
                       {"formula", procedure->formula},
                       {"columns", columns},
                       {"laws", parts},
                       {"settings", settings},
                       {"identifiable", procedure->identifiable},
                       {"source", procedure->source}});
    rows.push_back({std::string(procedure->name), std::string(procedure->formula),
                    std::string(procedure->source)});
  }
  for (const LawFamily* family : law_families())
    rows.push_back({std::string(family->name), "made from its arguments", ""});
  arguments.out->result({{"laws", list}, {"procedures", derived}},
                        text_table({"law", "formula", "source"}, rows));
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
