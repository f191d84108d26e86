// rung plan: the best parameters and tokens for a compute budget, from a fit.
#include "plan/plan.h"

#include "cli/verb.h"
#include "config/number.h"
#include "core/error.h"
#include "core/table.h"
#include "law/forms.h"
#include "plan/plan_json.h"

namespace rung {
namespace {

PlanOptions read_options(const Arguments& arguments, const Fit& fit) {
  PlanOptions options;
  options.flops = arguments.number("--flops");
  options.bytes_per_parameter = arguments.number("--bytes-per-parameter");
  options.flat = arguments.number("--flat");
  if (!(options.flat > 0.0 && options.flat < 1.0))
    fail_usage("[plan] --flat lies between 0 and 1. Received {}.", options.flat);
  options.level = arguments.has("--level") ? arguments.number("--level") : fit.level;
  const auto given = [&](const char* name, double& value) {
    if (arguments.has(name)) value = arguments.number(name);
  };
  given("--inference-tokens", options.inference_tokens);
  given("--max-tokens", options.max_tokens);
  given("--max-params", options.max_params);
  given("--memory", options.memory);
  for (const std::string& pair : arguments.list("--with")) {
    const size_t equals = pair.find('=');
    const auto value =
        equals == std::string::npos ? std::nullopt : parse_number(pair.substr(equals + 1));
    if (!value) fail_usage("[plan] --with takes NAME=NUMBER. Received {}.", pair);
    options.other[pair.substr(0, equals)] = *value;
  }
  return options;
}

std::string describe(const Plan& plan, const PlanOptions& options) {
  const auto number = [](double value) { return fmt::format("{:.4g}", value); };
  const std::string percent = fmt::format("{:g} %", 100 * options.level);
  std::string text =
      text_table({"", "best", percent + " from", "to",
                  fmt::format("within {:g} % from", 100 * options.flat), "to"},
                 {{"N", number(plan.N), number(plan.N_interval.min), number(plan.N_interval.max),
                   number(plan.flat_N.min), number(plan.flat_N.max)},
                  {"D", number(plan.D), number(plan.D_interval.min), number(plan.D_interval.max),
                   number(plan.flat_D.min), number(plan.flat_D.max)}});
  const Prediction& p = plan.prediction;
  text += fmt::format("\nloss {:.4f}, {} interval {:.4f} to {:.4f}; D/N {:.3g}; C {:.4g}", p.loss,
                      percent, p.lo, p.hi, plan.D / plan.N, plan.C);
  if (plan.inference_flops > 0.0)
    text += fmt::format(" and inference {:.4g}", plan.inference_flops);
  text += '\n';
  for (const std::string& limit : plan.limits) text += fmt::format("limited by {}\n", limit);
  for (const std::string& remark : plan.remarks) text += remark + "\n";
  for (const auto& [name, ratio] : p.extrapolation)
    text += fmt::format("{}: {:.3g} times the largest in the data\n", name, ratio);
  return text;
}

int run(const Arguments& arguments) {
  const std::string path = arguments.text("FIT");
  const Forms forms = forms_from_json(read_json(path), path);
  const Fit& fit = forms.forms[forms.best].fit;
  const PlanOptions options = read_options(arguments, fit);
  const Plan plan = make_plan(fit, options);
  arguments.out->result(plan_to_json(plan, options), describe(plan, options));
  return 0;
}

}  // namespace

extern const Verb plan_verb;
const Verb plan_verb{
    .name = "plan",
    .group = "laws",
    .summary = "the best parameters and tokens for a compute budget, from a fit, or refuse",
    .example = "rung plan fit.json --flops 1e21 --inference-tokens 1e12",
    .options = {{.name = "FIT", .help = "file written by `rung fit --out`", .required = true},
                {.name = "--flops",
                 .help = "budget: 6 N D, and 2 N for each inference token",
                 .required = true},
                {.name = "--inference-tokens", .help = "tokens that the model will serve"},
                {.name = "--max-tokens", .help = "training tokens that there are"},
                {.name = "--max-params", .help = "largest size"},
                {.name = "--memory", .help = "bytes for the parameters while training"},
                {.name = "--bytes-per-parameter",
                 .help = "what training holds for each: weight, gradient, moments",
                 .default_text = "16"},
                {.name = "--with",
                 .takes = Takes::list,
                 .help = "further inputs of the law, as NAME=NUMBER"},
                {.name = "--flat",
                 .help = "near-optimal: within this fraction of the loss",
                 .default_text = "1e-3"},
                {.name = "--level", .help = "probability of the intervals (default: the fit's)"}},
    .run = run};

}  // namespace rung
