// Plans: what to train under a budget, by what fits know.
#include "plan/plan.h"

#include "binding/binding.h"
#include "core/files.h"
#include "law/forms.h"
#include "plan/devices.h"
#include "plan/next_runs.h"
#include "plan/plan_json.h"
#include "report/plan_page.h"

namespace rung {
namespace {

void bind_options(py::module_& module) {
  py::class_<ShapeOptions>(module, "ShapeOptions")
      .def_readwrite("vocabulary", &ShapeOptions::vocabulary)
      .def_readwrite("context", &ShapeOptions::context)
      .def_readwrite("head_size", &ShapeOptions::head_size)
      .def_readwrite("kv_heads", &ShapeOptions::kv_heads)
      .def_readwrite("ffn_ratio", &ShapeOptions::ffn_ratio)
      .def_readwrite("gated", &ShapeOptions::gated)
      .def_readwrite("tied", &ShapeOptions::tied);
  py::class_<PlanOptions>(module, "PlanOptions")
      .def(py::init<>())
      .def_readwrite("flops", &PlanOptions::flops)
      .def_readwrite("inference_tokens", &PlanOptions::inference_tokens)
      .def_readwrite("max_tokens", &PlanOptions::max_tokens)
      .def_readwrite("max_params", &PlanOptions::max_params)
      .def_readwrite("memory", &PlanOptions::memory)
      .def_readwrite("bytes_per_parameter", &PlanOptions::bytes_per_parameter)
      .def_readwrite("other", &PlanOptions::other)
      .def_readwrite("flat", &PlanOptions::flat)
      .def_readwrite("level", &PlanOptions::level)
      .def_readwrite("seconds", &PlanOptions::seconds)
      .def_readwrite("rate", &PlanOptions::rate)
      .def_readwrite("unique_tokens", &PlanOptions::unique_tokens)
      .def_readwrite("inference_memory", &PlanOptions::inference_memory)
      .def_readwrite("inference_bits", &PlanOptions::inference_bits)
      .def_readwrite("latency", &PlanOptions::latency)
      .def_readwrite("bandwidth", &PlanOptions::bandwidth)
      .def_readwrite("bit_flops", &PlanOptions::bit_flops)
      .def_readwrite("experts", &PlanOptions::experts)
      .def_readwrite("size", &PlanOptions::size)
      .def_readwrite("width", &PlanOptions::width)
      .def_readwrite("depth", &PlanOptions::depth)
      .def_readwrite("force", &PlanOptions::force)
      .def_property_readonly(
          "shape", [](PlanOptions& options) { return &options.shape; },
          py::return_value_policy::reference_internal);
  py::class_<NextRuns>(module, "NextRuns")
      .def(py::init<>())
      .def_readwrite("runs", &NextRuns::runs)
      .def_readwrite("target", &NextRuns::target)
      .def_readwrite("flops", &NextRuns::flops)
      .def_readwrite("max_run_flops", &NextRuns::max_run_flops)
      .def("set_determinant", [](NextRuns& next) { next.criterion = Criterion::determinant; })
      .def("set_candidates", [](NextRuns& next, const Table& table) { next.candidates = table; });
  py::class_<Hardware>(module, "Hardware")
      .def_readonly("count", &Hardware::count)
      .def_readonly("bf16", &Hardware::bf16)
      .def_readonly("fp8", &Hardware::fp8)
      .def_readonly("memory", &Hardware::memory)
      .def_readonly("bandwidth", &Hardware::bandwidth);
}

}  // namespace

void bind_plan(py::module_& module) {
  bind_options(module);
  module.def("parse_hardware", &parse_hardware, py::arg("text"), py::arg("other"));
  module.def("parse_time", &parse_time, py::arg("text"));
  module.def(
      "plan",
      [](const std::vector<std::shared_ptr<Forms>>& fits, const std::vector<std::string>& names,
         const PlanOptions& options, const NextRuns* next) {
        return json_text(run_unlocked([&](const auto&) {
          std::vector<PlanSource> sources;
          for (size_t i = 0; i < fits.size(); ++i) sources.push_back({names.at(i), *fits[i]});
          const Plan plan = make_plan(sources, options, true);
          Json json = plan_to_json(plan, options);
          if (next)
            json["design"] = next_to_json(design_next(sources, plan, options, *next), options.rate);
          return json;
        }));
      },
      py::arg("fits"), py::arg("names"), py::arg("options"), py::arg("next"));
  module.def(
      "report_plan",
      [](const std::string& plan, const std::string& path, const std::string& title) {
        run_unlocked([&](const auto&) { write_file(path, plan_page(Json::parse(plan), title)); });
      },
      py::arg("plan"), py::arg("path"), py::arg("title"));
}

}  // namespace rung
