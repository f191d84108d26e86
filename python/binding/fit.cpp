// Fitting, and fits as Python holds them: always Forms, most often of one law.
#include "law/fit.h"

#include "binding/binding.h"
#include "core/error.h"
#include "law/fit_json.h"
#include "law/fit_text.h"
#include "law/forms.h"
#include "law/procedure.h"

namespace rung {
namespace {

using Handle = std::shared_ptr<Forms>;

Handle handle_of(Fit fit) {
  Forms forms;
  forms.forms.push_back({.fit = std::move(fit), .weight = 1.0});
  return std::make_shared<Forms>(std::move(forms));
}

const Fit& leader(const Forms& forms) {
  return forms.forms.at(forms.best).fit;
}

Handle fit(const Table& table, const FitOptions& given, const std::vector<std::string>& laws,
           const std::string& order) {
  return run_unlocked([&](const auto& poll) {
    FitOptions options = given;
    options.interrupted = poll;
    if (laws.size() != 1)
      return std::make_shared<Forms>(fit_forms(table, options_of_laws(options, laws), order));
    options.law = laws.front();
    return handle_of(fit_law(table, options));
  });
}

// The coefficients of every resample, [B, K].
std::shared_ptr<Numbers> samples_of(const Forms& forms) {
  const Fit& fit = leader(forms);
  auto numbers = std::make_shared<Numbers>();
  numbers->rows = fit.samples.size();
  numbers->columns = fit.law->coefficients.size();
  numbers->values.reserve(numbers->rows * numbers->columns);
  for (const std::vector<double>& sample : fit.samples)
    numbers->values.insert(numbers->values.end(), sample.begin(), sample.end());
  return numbers;
}

void bind_options(py::module_& module) {
  py::class_<Prior>(module, "Prior").def(py::init([](double mean, double sd) {
    return Prior{mean, sd};
  }));
  py::class_<FitOptions>(module, "FitOptions")
      .def(py::init<>())
      .def_readwrite("columns", &FitOptions::columns)
      .def_readwrite("where", &FitOptions::where)
      .def_readwrite("objective", &FitOptions::objective)
      .def_readwrite("delta", &FitOptions::delta)
      .def_readwrite("tau", &FitOptions::tau)
      .def_readwrite("weights", &FitOptions::weight_column)
      .def_readwrite("sd", &FitOptions::sd_column)
      .def_readwrite("cluster", &FitOptions::cluster_column)
      .def_readwrite("fix", &FitOptions::fixed)
      .def_readwrite("bound", &FitOptions::bounds)
      .def_readwrite("tie", &FitOptions::ties)
      .def_readwrite("prior", &FitOptions::priors)
      .def_readwrite("bootstrap", &FitOptions::bootstrap)
      .def_readwrite("profile", &FitOptions::profile)
      .def_readwrite("seed", &FitOptions::seed)
      .def_readwrite("level", &FitOptions::level)
      .def_readwrite("settings", &FitOptions::settings)
      .def_readwrite("threads", &FitOptions::threads)
      .def("set_schedules", [](FitOptions& options, const std::shared_ptr<Table>& table) {
        options.schedules = table;
      });
}

}  // namespace

void bind_fit(py::module_& module) {
  bind_options(module);
  py::class_<Forms, Handle>(module, "Forms")
      .def(
          "json",
          [](const Forms& forms, bool samples) { return json_text(forms_to_json(forms, samples)); },
          py::arg("samples"))
      .def("text", [](const Forms& forms) { return fit_text(forms); })
      .def_property_readonly("size", [](const Forms& forms) { return forms.forms.size(); })
      .def("form", [](const Forms& forms, size_t i) { return handle_of(forms.forms.at(i).fit); })
      .def_property_readonly("parts", [](const Forms& forms) { return leader(forms).parts.size(); })
      .def("part",
           [](const Forms& forms, size_t i) { return handle_of(leader(forms).parts.at(i)); })
      .def_property_readonly("composed",
                             [](const Forms& forms) {
                               const Procedure* procedure = leader(forms).procedure;
                               return procedure && procedure->composed;
                             })
      .def("names",
           [](const Forms& forms) {
             std::vector<std::string> names;
             for (const Coefficient& c : leader(forms).law->coefficients)
               names.emplace_back(c.name);
             return names;
           })
      .def("samples", &samples_of)
      .def("save", [](const Forms& forms, const std::string& path) {
        run_unlocked([&](const auto&) { write_json(path, forms_to_json(forms)); });
      });
  module.def("fit", &fit, py::arg("table"), py::arg("options"), py::arg("laws"), py::arg("order"));
  module.def("load", [](const std::string& path) {
    return run_unlocked([&](const auto&) {
      return std::make_shared<Forms>(forms_from_json(read_json(path), path));
    });
  });
  module.def("parse", [](const std::string& text) {
    return std::make_shared<Forms>(forms_from_json(Json::parse(text), "a pickled fit"));
  });
}

}  // namespace rung
