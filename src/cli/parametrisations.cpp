// rung parametrisations: the table, one line each.
#include "cli/verb.h"
#include "core/table.h"
#include "scaling/parametrisation.h"

namespace rung {
namespace {

int run_parametrisations(const Arguments& arguments) {
  Json list = Json::array();
  std::vector<TableRow> rows;
  for (const Parametrisation& p : parametrisations()) {
    list.push_back({{"name", p.name}, {"summary", p.summary}});
    rows.push_back({std::string(p.name), std::string(p.summary)});
  }
  arguments.out->result({{"parametrisations", list}}, text_table({"name", "rule"}, rows));
  return 0;
}

}  // namespace

extern const Verb parametrisations_verb;
const Verb parametrisations_verb{
    .name = "parametrisations",
    .group = "tables",
    .summary = "list the rules from role and shape to multipliers, initialisation and LR",
    .example = "rung parametrisations",
    .options = {},
    .run = run_parametrisations};

}  // namespace rung
