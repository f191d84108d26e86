#include "law/fit_groups.h"

#include <algorithm>
#include <map>

#include "core/error.h"
#include "law/expression.h"
#include "law/fit_json.h"
#include "law/meter.h"
#include "law/parallel.h"

namespace rung {
namespace {

std::string value_text(const Column& column, size_t row) {
  return column.text.empty() ? fmt::format("{}", column.values[row]) : column.text[row];
}

void fit_group(const Table& table, const std::vector<size_t>& rows, const FitOptions& options,
               GroupFit& group) {
  try {
    group.fit = fit_law(part_of(table, rows), options);
  } catch (const Error& error) {
    if (error.kind == Failure::usage) throw;
    stop_if(options.interrupted);  // that is no group's own failure
    group.error = error.what();
  }
}

std::string status_of(const GroupFit& group) {
  return !group.error.empty() ? "failed" : group.fit.refused() ? "refused" : "fitted";
}

std::string group_text(const Json& group) {
  std::string text;
  for (const auto& [column, value] : group.items())
    text += fmt::format("{}{}={}", text.empty() ? "" : ",", column, value.get<std::string>());
  return text;
}

}  // namespace

size_t GroupFits::fitted() const {
  return static_cast<size_t>(std::count_if(groups.begin(), groups.end(), [](const GroupFit& g) {
    return g.error.empty() && !g.fit.refused();
  }));
}

GroupFits fit_groups(const Table& table, const std::vector<std::string>& columns,
                     const FitOptions& options) {
  GroupFits fits{.columns = columns};
  std::vector<const Column*> by;
  for (const std::string& name : columns) by.push_back(match_column(table, name, {{name, name}}));
  std::map<std::vector<std::string>, size_t> known;
  std::vector<std::vector<size_t>> rows;
  for (const size_t row : filter_rows(table, options.where, options.columns)) {
    std::vector<std::string> values;
    for (const Column* column : by) values.push_back(value_text(*column, row));
    const auto [found, fresh] = known.emplace(values, rows.size());
    if (fresh) {
      rows.emplace_back();
      fits.groups.push_back({.values = std::move(values)});
    }
    rows[found->second].push_back(row);
  }
  if (rows.empty())
    fail("[fit] No row is left. Received {} with {} rows and the filter {}.", table.source,
         table.rows, options.where.empty() ? "(none)" : options.where);
  // Large groups first, so that no thread ends long after the others.
  std::vector<size_t> order(rows.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return rows[a].size() > rows[b].size(); });
  FitOptions own = options;
  if (rows.size() > 1) own.threads = 1;
  own.progress = {};
  Meter meter(options.progress, options.law, rows.size(), "groups");
  parallel_for(order.size(), options.threads, [&](size_t i) {
    stop_if(options.interrupted);
    fit_group(table, rows[order[i]], own, fits.groups[order[i]]);
    meter.add();
  });
  return fits;
}

Json groups_to_json(const GroupFits& fits, bool samples) {
  Json list = Json::array();
  for (const GroupFit& group : fits.groups) {
    Json entry = group.error.empty() ? fit_to_json(group.fit, samples)
                                     : Json{{"status", "failed"}, {"error", group.error}};
    entry["status"] = status_of(group);
    entry["group"] = Json::object();
    for (size_t i = 0; i < fits.columns.size(); ++i)
      entry["group"][fits.columns[i]] = group.values[i];
    list.push_back(std::move(entry));
  }
  return {{"status", fits.fitted() > 0 ? "fitted" : "refused"},
          {"by", fits.columns},
          {"fitted", fits.fitted()},
          {"fits", std::move(list)}};
}

bool holds_groups(const Json& json) {
  return json.is_object() && json.contains("by") && json.contains("fits");
}

Json find_group(const Json& json, const std::string& wanted, const std::string& source) {
  const std::map<std::string, std::string> values = parse_column_map(wanted);
  std::vector<const Json*> found;
  std::string there;
  for (const Json& entry : json.at("fits")) {
    const Json& group = entry.at("group");
    there += (there.empty() ? "" : "; ") + group_text(group);
    if (std::all_of(values.begin(), values.end(), [&](const auto& pair) {
          return group.value(pair.first, Json()) == Json(pair.second);
        }))
      found.push_back(&entry);
  }
  if (there.size() > 400) there.resize(there.find(';', 380)), there += "; ...";
  if (found.size() != 1)
    fail_usage("[fit] {} holds {} fits. Received {}, which names {} of them. Give --group: {}.",
               source, json.at("fits").size(), wanted.empty() ? "no group" : wanted, found.size(),
               there);
  if (found[0]->at("status") == "failed")
    fail("[fit] This group has no fit. Received {}: {}", group_text(found[0]->at("group")),
         found[0]->at("error").get<std::string>());
  return *found[0];
}

}  // namespace rung
