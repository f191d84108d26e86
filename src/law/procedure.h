// A procedure first derives points from a table (the minimum of each IsoFLOP curve, the critical
// batch of each model) and then fits laws to them: one for each quantity that it gives. It stands
// beside the laws: `fit_law` takes its name, and the result is an ordinary Fit of its first
// quantity, with the others in Fit::parts. Intervals come from drawing the raw rows anew and
// deriving again. A new procedure is one file in law/procedures, one test, and one line in the
// table of procedure.cpp.
#pragma once
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "law/fit.h"
#include "law/table.h"

namespace rung {

// A number that a procedure's definition leaves open: `--setting overhead=0.2`.
struct ProcedureSetting {
  std::string_view name, meaning;
  double value = 0.0;
};
using Settings = std::map<std::string, double, std::less<>>;  // every one, defaults filled in

enum class ColumnKind {
  positive,
  real,   // any finite number
  label,  // numbers or names; becomes a number for each distinct one
  list,   // several columns of numbers, mapped as NAME=A+B+C; unmapped: all others without gaps
};

// What a procedure reads from every row.
struct RawColumn {
  std::string_view name;
  ColumnKind kind = ColumnKind::positive;
  bool optional = false;
  std::span<const std::string_view> aliases{};  // besides those of match_column
};

// The derived points of one quantity: columns named like the inputs and the target of its law, and
// `weight` where they are weighted.
struct DerivedPart {
  const Law* law = nullptr;
  Table points{};
  std::map<std::string, std::string> columns{};  // input -> column, where the names differ
  std::map<std::string, double> fixed{};         // coefficients that the derivation gives
};

// How raw rows are drawn anew: measurements with noise about the curves that the derivation put
// through them, rows among their group's, or whole groups (curves of correlated rows); or not at
// all: each law has its own bootstrap over its points.
enum class Redraw { noise, rows, groups, laws };

struct Derivation {
  std::vector<DerivedPart> parts{};
  Table composed{};  // points of the composed law, where the procedure has one
  // The noise of the measured column, for drawing rows anew. Per raw row: what the intermediate
  // curves say instead of the measurement (NaN: the row is not used), and its group (-1: none).
  std::vector<double> fitted{};
  std::vector<int> group{};
  double noise = 0.0;    // relative deviation of a measurement from `fitted`
  double freedom = 0.0;  // degrees of freedom that `noise` rests on; 0: it was given
  Redraw redraw = Redraw::noise;
  // References that redrawn rows keep (the size at which levels are stated), handed to them as
  // settings; and how many numbers beside the laws' coefficients were estimated from the rows.
  std::map<std::string, double> held{};
  size_t levels = 0;
  std::vector<Diagnostic> diagnostics{};
  Json record = Json::object();  // each group's result, for fit.json
};

// Rows as a procedure reads them: columns under the procedure's names, filtered and checked.
struct RawRows {
  Table table{};
  std::vector<size_t> rows{};                                // their indices in the table as read
  std::map<std::string, std::vector<std::string>> labels{};  // of label columns, by number
  std::map<std::string, std::string> names{};                // what the table calls each column
  std::vector<std::string> listed{};                         // columns of a list
  const std::vector<double>& operator[](std::string_view name) const;
  bool has(std::string_view name) const { return table.find(name) != nullptr; }
};

struct Procedure {
  std::string_view name, formula, source;
  std::string_view identifiable;  // what the table must hold
  std::span<const RawColumn> columns;
  std::string_view measured;         // the column that carries the noise
  std::span<const Law* const> laws;  // of its quantities, NAME.QUANTITY; the first is predicted
  // A law of the quantities' laws chained: its coefficients are theirs, one law's after the
  // other's. Where there is one, it is what is predicted.
  const Law* composed = nullptr;
  std::span<const ProcedureSetting> settings{};
  Derivation (*derive)(const RawRows& rows, const Settings& settings) = nullptr;
  // What can be said once the laws are fitted, such as a known bias: adds diagnostics and records.
  void (*review)(const RawRows& rows, const Settings& settings, Fit& fit) = nullptr;
  // Turns what a point is known by (benchmark scores, characters) into the laws' inputs.
  void (*prepare)(const Json& derivation, std::map<std::string, double>& point) = nullptr;
};

std::span<const Procedure* const> procedures();
const Procedure* find_procedure(std::string_view name);  // null when there is none of that name
const Law* find_procedure_law(std::string_view name);    // of NAME.QUANTITY, or null

// Reads, checks and names the columns; fails as select_rows does.
RawRows read_rows(const Table& table, const Procedure& procedure, const FitOptions& options);

// Defaults with the caller's on top; usage error for an unknown one.
Settings read_settings(const Procedure& procedure, const FitOptions& options);

// The fit of every quantity, with intervals from redrawn rows. Called by fit_law.
Fit fit_procedure(const Table& table, const Procedure& procedure, const FitOptions& options);

// The law of one quantity fitted to its derived points, without resampling.
Fit fit_part(const DerivedPart& part, const FitOptions& options);

}  // namespace rung
