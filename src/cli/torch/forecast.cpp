// rung forecast: a climb's prediction made once more from its runs.csv, with another law or without
// one of the measures; trains nothing and leaves the climb's own record alone.
#include "study/forecast.h"

#include "cli/verb.h"
#include "core/error.h"
#include "core/json.h"

namespace rung {
namespace {

int run_forecast(const Arguments& arguments) {
  ForecastOptions options{.law = arguments.text("--law"),
                          .measures = measures_without(arguments.list("--without"))};
  for (const MeasureName& measure : measure_names)
    if (!measure.refit && !(options.measures.*measure.field))
      fail_usage("[forecast] {} decides what is trained. Use `rung climb --without {}`.",
                 measure.name, measure.name);
  const double ahead = arguments.number("--ahead");
  if (!(ahead >= 0.0)) fail_usage("[forecast] --ahead cannot be negative. Received {}.", ahead);
  const Json json = forecast_again(arguments.text("DIR"), options, ahead);
  const Json& predicted = json.at("predicted");
  std::string text =
      fmt::format("predicted {:.4f} ({:.4f} .. {:.4f}), {:.1f}x beyond the largest rung",
                  predicted.at("loss").get<double>(), predicted.at("lo").get<double>(),
                  predicted.at("hi").get<double>(), json.at("extrapolation_flops").get<double>());
  if (json.contains("measured"))
    text += fmt::format("; measured {:.4f}: error {:+.2f} %, {} the interval",
                        json.at("measured").at("loss").get<double>(),
                        100.0 * json.at("relative_error").get<double>(),
                        json.at("inside").get<bool>() ? "inside" : "outside");
  arguments.out->result(json, text);
  return 0;
}

}  // namespace

extern const Verb forecast_verb;
const Verb forecast_verb{
    .name = "forecast",
    .group = "climb",
    .summary = "predict a climb's target again, with another law or without a measure",
    .example = "rung forecast climb --without regime --ahead 50",
    .options = {{.name = "DIR", .help = "folder of the climb", .required = true},
                {"--law", Takes::value, "law along the path; empty: chosen by rollout"},
                {"--without", Takes::list,
                 "measures left out: regime offset prior rollout goodness noise seeds"},
                {"--ahead", Takes::value,
                 "only rungs whose FLOPs the target's are this many times; 0: all", "0"}},
    .run = run_forecast};

}  // namespace rung
