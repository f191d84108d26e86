#include "law/laws_json.h"

#include "law/law.h"
#include "law/procedure.h"

namespace rung {
namespace {

Json law_json(const Law& law) {
  Json coefficients = Json::array();
  for (const Coefficient& c : law.coefficients)
    coefficients.push_back({{"name", c.name},
                            {"meaning", c.meaning},
                            {"lo", json_number(c.lo)},
                            {"hi", json_number(c.hi)}});
  return {{"name", law.name},
          {"formula", law.formula},
          {"target", law.target},
          {"objective", law.objective},
          {"inputs", law.inputs},
          {"coefficients", coefficients},
          {"identifiable", law.identifiable},
          {"source", law.source}};
}

Json procedure_json(const Procedure& procedure) {
  Json parts = Json::array(), settings = Json::object(), columns = Json::array();
  for (const Law* law : procedure.laws)
    parts.push_back({{"name", law->name}, {"target", law->target}, {"formula", law->formula}});
  for (const ProcedureSetting& setting : procedure.settings)
    settings[std::string(setting.name)] = {{"value", setting.value}, {"meaning", setting.meaning}};
  for (const RawColumn& column : procedure.columns)
    columns.push_back({{"name", column.name}, {"optional", column.optional}});
  return {{"name", procedure.name},    {"formula", procedure.formula},
          {"columns", columns},        {"laws", parts},
          {"settings", settings},      {"identifiable", procedure.identifiable},
          {"source", procedure.source}};
}

}  // namespace

Json laws_to_json() {
  Json list = Json::array(), derived = Json::array();
  for (const Law* law : laws()) list.push_back(law_json(*law));
  for (const Procedure* procedure : procedures()) derived.push_back(procedure_json(*procedure));
  return {{"laws", list}, {"procedures", derived}};
}

}  // namespace rung
