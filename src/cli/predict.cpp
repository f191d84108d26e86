// rung predict: what a fit says about a point beyond its data.
#include "law/predict.h"

#include "cli/verb.h"
#include "config/number.h"
#include "core/error.h"
#include "core/json.h"
#include "law/fit_json.h"
#include "law/forms.h"

namespace rung {
namespace {

Point read_point(const std::vector<std::string>& pairs) {
  Point point;
  for (const std::string& pair : pairs) {
    const size_t equals = pair.find('=');
    const auto value =
        equals == std::string::npos ? std::nullopt : parse_number(pair.substr(equals + 1));
    if (!value)
      fail_usage("[predict] Expected NAME=NUMBER. Received {}. Example: N=7e9 D=1.4e12.", pair);
    if (!point.emplace(pair.substr(0, equals), *value).second)
      fail_usage("[predict] {} is given twice. Received {}.", pair.substr(0, equals), pair);
  }
  return point;
}

int run(const Arguments& arguments) {
  const std::string path = arguments.text("FIT");
  const Forms forms = forms_from_json(read_json(path), path);
  const Fit& fit = forms.forms[forms.best].fit;
  const double level = arguments.has("--level") ? arguments.number("--level") : fit.level;
  const Prediction prediction =
      predict_forms(forms, read_point(arguments.list("NAME=VALUE")), level);
  std::string text =
      prediction.target == "L"
          ? fmt::format("loss {:.4f}, {:g} % interval {:.4f} to {:.4f}\n", prediction.loss,
                        100 * level, prediction.lo, prediction.hi)
          : fmt::format("{} {:.5g}, {:g} % interval {:.5g} to {:.5g}\n", prediction.target,
                        prediction.loss, 100 * level, prediction.lo, prediction.hi);
  text += "half-widths:";
  for (const auto& [name, width] : prediction.sources)
    text += fmt::format(" {} {:.2g}", name, width);
  text += "\n";
  for (const auto& [name, ratio] : prediction.extrapolation) {
    const auto outside = prediction.outside.find(name);
    text += outside == prediction.outside.end()
                ? fmt::format("{}: within the data\n", name)
                : fmt::format("{}: {:.3g} times {} in the data\n", name, outside->second,
                              ratio > 1.0 ? "the largest" : "below the smallest");
  }
  for (const std::string& warning : prediction.warnings) text += "warning: " + warning + "\n";
  arguments.out->result(prediction_to_json(prediction), text);
  return 0;
}

}  // namespace

extern const Verb predict_verb;
const Verb predict_verb{
    .name = "predict",
    .group = "laws",
    .summary = "predict the loss at a point from a fit, with an interval for a new measurement",
    .example = "rung predict fit.json N=7e9 D=1.4e12",
    .options = {{.name = "FIT", .help = "file written by `rung fit --out`", .required = true},
                {.name = "NAME=VALUE",
                 .takes = Takes::list,
                 .help = "N=7e9 D=1.4e12; C follows as 6 N D",
                 .required = true},
                {.name = "--level", .help = "probability of the interval (default: the fit's)"}},
    .run = run};

}  // namespace rung
