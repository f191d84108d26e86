// The module rung._rung: errors, tables, and the tables of laws.
#include <cstring>

#include "binding/binding.h"
#include "config/toml_json.h"
#include "core/error.h"
#include "law/laws_json.h"
#include "law/schedule.h"
#include "law/table.h"
#include "law/user_law.h"

namespace rung {
namespace {

// The command line's options are keywords here: `--max-run-flops` is said as max_run_flops.
std::string as_keywords(std::string_view text) {
  std::string result;
  const auto letter = [&](size_t i) { return i < text.size() && text[i] >= 'a' && text[i] <= 'z'; };
  for (size_t i = 0; i < text.size(); ++i) {
    const bool option = text.substr(i, 2) == "--" && letter(i + 2) && (i == 0 || !letter(i - 1));
    if (!option) {
      result += text[i];
      continue;
    }
    for (i += 2; letter(i) || (i < text.size() && text[i] == '-' && letter(i + 1)); ++i)
      result += text[i] == '-' ? '_' : text[i];
    --i;
  }
  // `columns L=COLUMN` is a mapping here.
  constexpr std::string_view before = "columns ", behind = "=COLUMN";
  const size_t equals = result.find(behind);
  const size_t at = equals == result.npos ? equals : result.rfind(before, equals);
  if (at == result.npos) return result;
  const size_t from = at + before.size();
  return result.substr(0, from - 1) + "={\"" + result.substr(from, equals - from) +
         "\": \"COLUMN\"}" + result.substr(equals + behind.size());
}

// Raises the class of rung/_errors.py that a Failure stands for.
void raise(const Error& error) {
  const char* name = error.kind == Failure::usage     ? "UsageError"
                     : error.kind == Failure::refused ? "Refused"
                                                      : "Error";
  const std::string text = as_keywords(error.what());
  const auto message = py::reinterpret_steal<py::object>(
      PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), "replace"));
  const py::object kind = py::module_::import("rung._errors").attr(name);
  PyErr_SetObject(kind.ptr(), message.ptr());
}

void add_numbers(Table& table, const std::string& name, const py::buffer& values) {
  const py::buffer_info info = values.request();
  if (info.ndim != 1 || info.itemsize != sizeof(double) || info.format != "d")
    fail_usage("[table] {} needs one dimension of float64. Received {} of format {}.", name,
               info.ndim, info.format);
  std::vector<double> copy(static_cast<size_t>(info.shape[0]));
  const char* at = static_cast<const char*>(info.ptr);
  for (double& value : copy) {
    std::memcpy(&value, at, sizeof value);
    at += info.strides[0];
  }
  table.add(name, std::move(copy));
}

void set_index(Table& table, const py::buffer& labels) {
  const py::buffer_info info = labels.request();
  if (info.ndim != 1 || info.itemsize != sizeof(int64_t))
    fail_usage("[table] The index needs one dimension of int64. Received {}.", info.ndim);
  table.index.resize(static_cast<size_t>(info.shape[0]));
  for (size_t i = 0; i < table.index.size(); ++i)
    std::memcpy(&table.index[i],
                static_cast<const char*>(info.ptr) + static_cast<py::ssize_t>(i) * info.strides[0],
                sizeof(int64_t));
}

// A law's own file or definition as the text that FitOptions::law takes; checked where its source
// is known.
std::string read_law(const std::string& path) {
  const Json definition = read_toml(path);
  make_law(definition, path);
  return definition.dump();
}

std::string check_law(const std::string& text) {
  const Json definition = Json::parse(text, nullptr, false);
  make_law(definition, "law");
  return definition.dump();
}

}  // namespace

void bind_table(py::module_& module) {
  py::class_<Numbers, std::shared_ptr<Numbers>>(module, "Numbers", py::buffer_protocol())
      .def_buffer([](Numbers& numbers) {
        const auto rows = static_cast<py::ssize_t>(numbers.rows);
        const auto columns = static_cast<py::ssize_t>(numbers.columns);
        constexpr py::ssize_t item = sizeof(double);
        double* data = numbers.values.data();
        if (numbers.columns == 0) return py::buffer_info(data, rows);
        return py::buffer_info(data, item, py::format_descriptor<double>::format(), 2,
                               {rows, columns}, {columns * item, item});
      });
  py::class_<Table, std::shared_ptr<Table>>(module, "Table")
      .def(py::init([](std::string source) {
             auto table = std::make_shared<Table>();
             table->source = std::move(source);
             return table;
           }),
           py::arg("source"))
      .def("add_numbers", &add_numbers, py::arg("name"), py::arg("values"))
      .def("add_cells", &Table::add_cells, py::arg("name"), py::arg("cells"))
      .def("set_index", &set_index, py::arg("labels"))
      .def("has",
           [](const Table& table, const std::string& name) { return table.find(name) != nullptr; })
      .def_readonly("rows", &Table::rows);
  module.def(
      "read_runs",
      [](const std::vector<std::string>& paths) {
        return std::make_shared<Table>(run_unlocked([&](const auto&) { return read_runs(paths); }));
      },
      py::arg("paths"));
  module.def("parse_columns", &parse_column_map, py::arg("text"));
  module.def("read_law", &read_law, py::arg("path"));
  module.def("check_law", &check_law, py::arg("definition"));
  module.def("laws", [] { return json_text(laws_to_json()); });
}

}  // namespace rung

PYBIND11_MODULE(_rung, module) {
  module.attr("version") = RUNG_VERSION;
  pybind11::register_exception_translator([](std::exception_ptr error) {
    try {
      if (error) std::rethrow_exception(error);
    } catch (const rung::Error& known) {
      rung::raise(known);
    }
  });
  rung::bind_table(module);
  rung::bind_fit(module);
  rung::bind_answers(module);
  rung::bind_plan(module);
}
