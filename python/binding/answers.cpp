// What a fit answers: predictions at points and along tables, its page.
#include <algorithm>
#include <cmath>

#include "binding/binding.h"
#include "core/error.h"
#include "core/files.h"
#include "law/fit_curves.h"
#include "law/forms.h"
#include "law/parallel.h"
#include "law/predict.h"
#include "law/predict_table.h"
#include "report/fit_page.h"

namespace rung {
namespace {

using Line = std::vector<double>;
using Lines = std::map<std::string, Line>;

const Fit& leader(const Forms& forms) {
  return forms.forms.at(forms.best).fit;
}

py::object shared(Line values) {
  return py::cast(std::make_shared<Numbers>(line_of(std::move(values))));
}

py::dict shared(Lines lines) {
  py::dict result;
  for (auto& [name, values] : lines) result[py::str(name)] = shared(std::move(values));
  return result;
}

// Predictions at many points, by quantity.
struct Answers {
  Line loss, lo, hi;
  Lines sources, extrapolation, outside;
  std::vector<std::string> warnings;  // of each point, joined

  explicit Answers(size_t count) : loss(count), lo(count), hi(count), warnings(count) {}

  // Which quantities there are does not change from point to point; outside the data may lie any.
  void prepare(const Prediction& first, const Fit& fit) {
    const size_t count = loss.size();
    for (const auto& [name, value] : first.sources) sources[name].resize(count);
    for (const auto& [name, value] : first.extrapolation) extrapolation[name].resize(count);
    for (const auto& [name, range] : fit.ranges) outside[name].assign(count, 1.0);
  }

  void set(size_t i, const Prediction& p) {
    loss[i] = p.loss, lo[i] = p.lo, hi[i] = p.hi;
    for (const auto& [name, value] : p.sources) sources.at(name)[i] = value;
    for (const auto& [name, value] : p.extrapolation) extrapolation.at(name)[i] = value;
    for (const auto& [name, value] : p.outside) outside.at(name)[i] = value;
    for (const std::string& warning : p.warnings)
      warnings[i] += (warnings[i].empty() ? "" : "\n") + warning;
  }

  // What no point lies outside of is left out.
  void finish() {
    std::erase_if(outside, [](const auto& entry) {
      return std::all_of(entry.second.begin(), entry.second.end(),
                         [](double factor) { return factor == 1.0; });
    });
    std::erase(warnings, "");
    std::sort(warnings.begin(), warnings.end());
    warnings.erase(std::unique(warnings.begin(), warnings.end()), warnings.end());
  }
};

// `points` are float64 [count, names].
py::dict predict_points(const Forms& forms, const std::vector<std::string>& names,
                        const py::buffer& points, double level, int threads, bool force) {
  const py::buffer_info info = points.request();
  const size_t count = static_cast<size_t>(info.shape.at(0)), width = names.size();
  if (info.ndim != 2 || info.format != "d" || static_cast<size_t>(info.shape[1]) != width ||
      info.strides[1] != sizeof(double) ||
      info.strides[0] != static_cast<py::ssize_t>(width * sizeof(double)))
    fail_usage("[predict] Points need two dimensions of float64. Received {}.", info.ndim);
  const double* values = static_cast<const double*>(info.ptr);
  Answers answers(count);
  run_unlocked([&](const auto& poll) {
    const auto at = [&](size_t i) {
      Point point;
      for (size_t j = 0; j < width; ++j) point[names[j]] = values[i * width + j];
      Prediction prediction = predict_forms(forms, point, level);
      if (!force) refuse_undetermined(prediction, "predict");
      return prediction;
    };
    if (count == 0) return;
    const Prediction first = at(0);
    answers.prepare(first, leader(forms));
    answers.set(0, first);
    parallel_for(count - 1, threads, [&](size_t i) {
      stop_if(poll);
      answers.set(i + 1, at(i + 1));
    });
    answers.finish();
  });
  py::dict result;
  result["loss"] = shared(std::move(answers.loss));
  result["lo"] = shared(std::move(answers.lo));
  result["hi"] = shared(std::move(answers.hi));
  result["sources"] = shared(std::move(answers.sources));
  result["extrapolation"] = shared(std::move(answers.extrapolation));
  result["outside"] = shared(std::move(answers.outside));
  result["warnings"] = answers.warnings;
  return result;
}

py::dict predict_rows(const Forms& forms, const Table& table,
                      const std::map<std::string, std::string>& columns,
                      const std::shared_ptr<Table>& schedules, double level, bool force) {
  const TablePrediction rows = run_unlocked([&](const auto&) {
    TablePrediction found = predict_table(leader(forms), table, columns, schedules.get(), level);
    if (found.undetermined && !force) refuse_undetermined(found.undetermined->second, "predict");
    return found;
  });
  Line loss, lo, hi;
  for (const RowPrediction& row : rows.rows) {
    loss.push_back(row.loss);
    lo.push_back(row.lo);
    hi.push_back(row.hi);
  }
  py::dict result;
  result["loss"] = shared(std::move(loss));
  result["lo"] = shared(std::move(lo));
  result["hi"] = shared(std::move(hi));
  const Misfit& m = rows.misfit;
  result["misfit"] = py::none();
  if (m.rows > 0) {
    py::dict misfit;
    misfit["rows"] = m.rows;
    misfit["inside"] = m.inside;
    misfit["bias"] = m.bias;
    misfit["r2"] = m.r2;
    misfit["mae"] = m.mae;
    misfit["rmse"] = m.rmse;
    misfit["mean_relative"] = m.mean_relative;
    misfit["worst_relative"] = m.worst_relative;
    result["misfit"] = misfit;
  }
  return result;
}

}  // namespace

void bind_answers(py::module_& module) {
  module.def("predict", &predict_points, py::arg("forms"), py::arg("names"), py::arg("points"),
             py::arg("level"), py::arg("threads"), py::arg("force"));
  module.def("predict_table", &predict_rows, py::arg("forms"), py::arg("table"), py::arg("columns"),
             py::arg("schedules").none(true), py::arg("level"), py::arg("force"));
  module.def("report", [](const Forms& forms, const std::string& path, const std::string& title) {
    run_unlocked([&](const auto&) {
      write_file(path, fit_page(forms_to_json(forms), fit_curves(leader(forms)), title));
    });
  });
}

}  // namespace rung
