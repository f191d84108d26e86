#include "law/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/error.h"

namespace rung {
namespace {

constexpr double most_schedule_steps = 2e7;  // of all runs together: the rates are kept one by one

struct Knot {
  size_t step = 0;
  double lr = 0.0;
  std::string shape = "linear";
};

const Column& need(const Table& table, const char* name,
                   const std::map<std::string, std::string>& columns) {
  const Column* column = match_column(table, name, columns);
  if (!column)
    fail_usage("[schedule] {} has no column {}. Name it: --columns {}=COLUMN.", table.source, name,
               name);
  return *column;
}

// Rate a fraction u of the way from one knot to the next.
double between(const Knot& from, const Knot& to, double u) {
  if (from.shape == "hold") return from.lr;
  if (from.shape == "cosine")
    return to.lr + 0.5 * (from.lr - to.lr) * (1.0 + std::cos(std::numbers::pi * u));
  if (from.shape == "exponential") return from.lr * std::pow(to.lr / from.lr, u);
  return from.lr + u * (to.lr - from.lr);
}

RateSchedule fill(const std::string& run, const std::vector<Knot>& knots) {
  RateSchedule schedule{.run = run};
  schedule.lr.resize(knots.back().step + 1);
  for (const Knot& knot : knots) schedule.knots.push_back(knot.step);
  for (size_t i = 0; i + 1 < knots.size(); ++i) {
    const double span = static_cast<double>(knots[i + 1].step - knots[i].step);
    for (size_t step = knots[i].step; step < knots[i + 1].step; ++step)
      schedule.lr[step] =
          between(knots[i], knots[i + 1], static_cast<double>(step - knots[i].step) / span);
  }
  schedule.lr.back() = knots.back().lr;
  return schedule;
}

// The knots of every run in the order of the runs' first rows.
struct Runs {
  std::vector<std::string> names;
  std::vector<std::vector<Knot>> knots;
};

Runs collect(const Table& table, const std::map<std::string, std::string>& columns,
             const Column* shape) {
  const Column &step = need(table, "step", columns), &lr = need(table, "lr", columns);
  const std::vector<std::string> names = run_names(table, columns);
  Runs runs;
  std::map<std::string, size_t> known;
  for (size_t row = 0; row < table.rows; ++row) {
    const double at = step.values[row], rate = lr.values[row];
    if (!(at >= 0.0) || at != std::floor(at) || at > most_schedule_steps)
      fail("[schedule] A step is a whole number up to {:g}. Received {} in {} of {}.",
           most_schedule_steps, at, table.where(row), table.source);
    if (!(rate >= 0.0) || !std::isfinite(rate))
      fail("[schedule] A learning rate is finite and not negative. Received {} in {} of {}.", rate,
           table.where(row), table.source);
    const auto [found, fresh] = known.emplace(names[row], runs.names.size());
    if (fresh) {
      runs.names.push_back(names[row]);
      runs.knots.emplace_back();
    }
    Knot knot{.step = static_cast<size_t>(at), .lr = rate};
    if (shape && !shape->text.empty() && !shape->text[row].empty()) knot.shape = shape->text[row];
    if (knot.shape != "linear" && knot.shape != "cosine" && knot.shape != "exponential" &&
        knot.shape != "hold")
      fail_usage(
          "[schedule] shape is linear, cosine, exponential or hold. Received {} in {} of {}.",
          knot.shape, table.where(row), table.source);
    std::vector<Knot>& own = runs.knots[found->second];
    if (!own.empty() && own.back().step >= knot.step)
      fail("[schedule] Steps rise within a run. Received {} after {} in {} of {}.", knot.step,
           own.back().step, table.where(row), table.source);
    own.push_back(knot);
  }
  if (runs.names.empty()) fail("[schedule] There is no row. Received {}.", table.source);
  double total = 0.0;
  for (const auto& knots : runs.knots) total += static_cast<double>(knots.back().step);
  if (total > most_schedule_steps)
    fail("[schedule] The runs have {:g} steps together, more than {:g}. Received {}.", total,
         most_schedule_steps, table.source);
  return runs;
}

void check_exponential(const std::vector<Knot>& knots, const std::string& run) {
  for (size_t i = 0; i + 1 < knots.size(); ++i)
    if (knots[i].shape == "exponential" && !(knots[i].lr > 0.0 && knots[i + 1].lr > 0.0))
      fail(
          "[schedule] An exponential piece needs positive rates at both ends. Received run {}, "
          "step {}.",
          run, knots[i].step);
}

}  // namespace

std::vector<std::string> run_names(const Table& table,
                                   const std::map<std::string, std::string>& columns) {
  const Column* run = match_column(table, "run", columns);
  std::vector<std::string> names(table.rows);
  for (size_t row = 0; run && row < table.rows; ++row)
    names[row] = run->text.empty() ? fmt::format("{}", run->values[row]) : run->text[row];
  return names;
}

std::vector<RateSchedule> read_schedules(const Table& knots) {
  const Runs runs = collect(knots, {}, knots.find("shape"));
  std::vector<RateSchedule> schedules;
  for (size_t i = 0; i < runs.names.size(); ++i) {
    if (runs.knots[i].front().step != 0)
      fail(
          "[schedule] A schedule begins at step 0, warm-up included. Received {} for run {} in "
          "{}.",
          runs.knots[i].front().step, runs.names[i], knots.source);
    check_exponential(runs.knots[i], runs.names[i]);
    schedules.push_back(fill(runs.names[i], runs.knots[i]));
  }
  return schedules;
}

std::vector<RateSchedule> schedules_of_rows(const Table& table,
                                            const std::map<std::string, std::string>& columns) {
  Runs runs = collect(table, columns, nullptr);
  std::vector<RateSchedule> schedules;
  for (size_t i = 0; i < runs.names.size(); ++i) {
    std::vector<Knot>& knots = runs.knots[i];
    if (knots.front().step > 0) knots.insert(knots.begin(), Knot{});
    schedules.push_back(fill(runs.names[i], knots));
  }
  return schedules;
}

Table join_runs(const std::vector<Table>& tables, const std::vector<std::string>& names) {
  Table result{.source = tables.empty() ? "table" : tables.front().source};
  if (tables.empty()) return result;
  Column run{.name = "run"};
  for (size_t i = 0; i < tables.size(); ++i) {
    run.values.resize(run.values.size() + tables[i].rows, std::nan(""));
    run.text.resize(run.values.size(), names[i]);
    result.rows += tables[i].rows;
  }
  for (const Column& first : tables.front().columns) {
    if (first.name == "run") continue;
    Column joined{.name = first.name};
    bool everywhere = true, texts = false;
    for (const Table& table : tables) {
      const Column* own = table.find(first.name);
      everywhere &= own != nullptr;
      texts |= own && !own->text.empty();
    }
    for (size_t i = 0; everywhere && i < tables.size(); ++i) {
      const Column& own = *tables[i].find(first.name);
      joined.values.insert(joined.values.end(), own.values.begin(), own.values.end());
      for (size_t row = 0; texts && row < tables[i].rows; ++row)
        joined.text.push_back(own.text.empty() ? fmt::format("{}", own.values[row])
                                               : own.text[row]);
    }
    if (everywhere) result.columns.push_back(std::move(joined));
  }
  result.columns.push_back(std::move(run));
  return result;
}

Table read_runs(const std::vector<std::string>& paths) {
  if (paths.size() == 1) return read_table(paths.front());
  std::vector<Table> tables;
  std::vector<std::string> names;
  for (const std::string& path : paths) {
    tables.push_back(read_table(path));
    names.push_back(std::filesystem::path(path).stem().string());
  }
  return join_runs(tables, names);
}

}  // namespace rung
