// rung plan: what to train under a budget, from fits, and which runs to train next.
#include "plan/plan.h"

#include <cmath>

#include "cli/plan_text.h"
#include "cli/verb.h"
#include "core/error.h"
#include "core/number.h"
#include "core/table.h"
#include "plan/devices.h"
#include "plan/next_runs.h"
#include "plan/plan_json.h"

namespace rung {
namespace {

// NAME=NUMBER pairs of an option.
Point read_point(const Arguments& arguments, const char* option) {
  Point point;
  for (const std::string& pair : arguments.list(option)) {
    const size_t equals = pair.find('=');
    const auto value =
        equals == std::string::npos ? std::nullopt : parse_number(pair.substr(equals + 1));
    if (!value) fail_usage("[plan] {} takes NAME=NUMBER. Received {}.", option, pair);
    point[pair.substr(0, equals)] = *value;
  }
  return point;
}

double fraction(const Arguments& arguments, const char* name) {
  const double value = arguments.number(name);
  if (!(value > 0.0 && value <= 1.0))
    fail_usage("[plan] {} lies between 0 and 1. Received {}.", name, value);
  return value;
}

double given(const Arguments& arguments, const char* name, double otherwise) {
  return arguments.has(name) ? arguments.number(name) : otherwise;
}

std::optional<double> given_flops(const Arguments& arguments, const char* name) {
  if (!arguments.has(name)) return std::nullopt;
  const std::string text = arguments.text(name);
  const auto value = parse_flops(text);
  if (!value)
    fail_usage("[plan] {} takes a number of FLOPs, as 1e21 or 1e21flop. Received {}.", name, text);
  return value;
}

// A memory. Whoever writes 80 means 80GB: no model fits into a few bytes.
double given_bytes(const Arguments& arguments, const char* name, double otherwise) {
  constexpr double least = 1e6;
  if (!arguments.has(name)) return otherwise;
  const std::string text = arguments.text(name);
  const auto value = parse_bytes(text);
  if (!value || *value < least)
    fail_usage("[plan] {} takes bytes, at least a million, as 80GB or 80GiB. Received {}.", name,
               text);
  return *value;
}

int64_t count(const Arguments& arguments, const char* name, int64_t otherwise) {
  if (!arguments.has(name)) return otherwise;
  const int64_t value = arguments.integer(name);
  if (value < 1) fail_usage("[plan] {} is at least 1. Received {}.", name, value);
  return value;
}

// The training rate, its memory and the bandwidth that serves, from devices by name.
void read_hardware(const Arguments& arguments, PlanOptions& options) {
  const bool own_peak = arguments.has("--peak-flops");
  Hardware hardware;
  if (arguments.has("--hardware"))
    hardware = parse_hardware(arguments.text("--hardware"), own_peak);
  const bool fp8 = arguments.text("--format") == "fp8";
  double peak = fp8 ? hardware.fp8 : hardware.bf16;
  if (own_peak) peak = arguments.number("--peak-flops");
  if (own_peak && !(peak > 0.0))
    fail_usage("[plan] --peak-flops must be positive. Received {}.", peak);
  if (!hardware.name.empty() && !(peak > 0.0))
    fail_usage("[plan] {} has no {} peak. Received --format {}. Give --peak-flops.", hardware.name,
               arguments.text("--format"), arguments.text("--format"));
  options.rate = peak * hardware.count * fraction(arguments, "--mfu");
  if (arguments.has("--time")) options.seconds = parse_time(arguments.text("--time"));
  if (hardware.memory > 0.0) options.memory = hardware.memory * hardware.count;
  options.bandwidth = hardware.bandwidth;
  if (arguments.has("--serve-on")) {
    const Hardware serving = parse_hardware(arguments.text("--serve-on"));
    options.bandwidth = serving.bandwidth * serving.count;
    options.inference_memory = serving.memory * serving.count;
  }
  options.bandwidth = given(arguments, "--bandwidth", options.bandwidth);
}

PlanOptions read_plan_options(const Arguments& arguments, double level) {
  PlanOptions options;
  read_hardware(arguments, options);
  options.flops = given_flops(arguments, "--flops").value_or(options.flops);
  options.bytes_per_parameter = arguments.number("--bytes-per-parameter");
  options.flat = arguments.number("--flat");
  options.level = given(arguments, "--level", level);
  options.inference_tokens = given(arguments, "--inference-tokens", options.inference_tokens);
  options.max_tokens = given(arguments, "--max-tokens", options.max_tokens);
  options.unique_tokens = given(arguments, "--unique-tokens", options.unique_tokens);
  options.max_params = given(arguments, "--max-params", options.max_params);
  options.memory = given_bytes(arguments, "--memory", options.memory);
  options.inference_memory = given_bytes(arguments, "--inference-memory", options.inference_memory);
  options.inference_bits = arguments.number("--inference-bits");
  if (arguments.has("--latency")) options.latency = parse_time(arguments.text("--latency"));
  options.bit_flops = arguments.flag("--bit-flops");
  options.experts = static_cast<double>(count(arguments, "--experts", 0));
  if (arguments.has("--params")) {
    options.size = arguments.number("--params");
    if (!(options.size >= 1.0))
      fail_usage("[plan] --params is at least 1. Received {}.", options.size);
  }
  options.width = count(arguments, "--width", 0);
  options.depth = count(arguments, "--depth", 0);
  options.shape = {.vocabulary = count(arguments, "--vocabulary", 0),
                   .context = count(arguments, "--context", 0),
                   .head_size = count(arguments, "--head-size", 0),
                   .kv_heads = count(arguments, "--kv-heads", 0),
                   .ffn_ratio = arguments.number("--ffn-ratio"),
                   .gated = !arguments.flag("--plain-ffn"),
                   .tied = arguments.flag("--tied")};
  options.other = read_point(arguments, "--with");
  options.force = arguments.flag("--force");
  return options;
}

std::vector<PlanSource> read_sources(const Arguments& arguments) {
  std::vector<PlanSource> sources;
  for (const std::string& path : arguments.list("FIT"))
    sources.push_back({path, forms_from_json(read_json(path), path)});
  return sources;
}

NextRuns read_next(const Arguments& arguments) {
  NextRuns next{.runs = count(arguments, "--next", 1),
                .criterion = arguments.text("--criterion") == "d" ? Criterion::determinant
                                                                  : Criterion::target,
                .target = read_point(arguments, "--target")};
  next.flops = given_flops(arguments, "--next-flops");
  next.max_run_flops = given_flops(arguments, "--max-run-flops");
  if (arguments.has("--candidates")) next.candidates = read_table(arguments.text("--candidates"));
  return next;
}

// Options that say which runs --next chooses.
void check_needs_next(const Arguments& arguments) {
  if (arguments.has("--next")) return;
  for (const char* name :
       {"--criterion", "--target", "--candidates", "--max-run-flops", "--next-flops"})
    if (arguments.has(name))
      fail_usage("[plan] {} is about the runs of --next. Give --next, how many.", name);
}

int run_plan(const Arguments& arguments) {
  check_needs_next(arguments);
  const std::vector<PlanSource> sources = read_sources(arguments);
  const PlanOptions options = read_plan_options(arguments, sources.front().fit().level);
  const Plan plan = make_plan(sources, options, arguments.has("--out"));
  Json json = plan_to_json(plan, options);
  std::string text = plan_text(plan, options);
  if (arguments.has("--next")) {
    const NextDesign next = design_next(sources, plan, options, read_next(arguments));
    json["design"] = next_to_json(next, options.rate);
    text += design_text(next.design, next.options, options.rate);
  }
  if (arguments.has("--out")) write_json(arguments.text("--out"), json);
  json.erase("basin");
  arguments.out->result(json, text);
  return 0;
}

// Budgets and limits, then the model's shape, then the runs to train next.
const std::vector<Option> options_of_plan = {
    {.name = "FIT",
     .takes = Takes::list,
     .help = "files written by `rung fit --out`: one of a law of N and D, others on shape, "
             "vocabulary, bits, experts, batch and learning rate",
     .required = true},
    {.name = "--flops", .help = "budget: 6 N D, and 2 N for each inference token"},
    {.name = "--time", .help = "wall time of training, as 30d; needs --hardware or --peak-flops"},
    {.name = "--hardware",
     .help = "what trains, as h100:64 (a100, h100, h100-pcie, h200, b200, mi300x, tpu-v4, "
             "tpu-v5p); its memory limits the size"},
    {.name = "--mfu", .help = "share of the peak that training reaches", .default_text = "0.4"},
    {.name = "--format",
     .help = "whose peak counts",
     .default_text = "bf16",
     .choices = {"bf16", "fp8"}},
    {.name = "--peak-flops", .help = "peak FLOP/s of one device, for others"},
    {.name = "--inference-tokens", .help = "tokens that the model will serve"},
    {.name = "--max-tokens", .help = "most training tokens, repeats included"},
    {.name = "--unique-tokens",
     .help = "tokens that there are; a data-constrained fit weighs repeats, others allow none"},
    {.name = "--max-params", .help = "largest size"},
    {.name = "--memory", .help = "bytes for the parameters while training, as 640GB"},
    {.name = "--bytes-per-parameter",
     .help = "what training holds for each: weight, gradient, moments",
     .default_text = "16"},
    {.name = "--inference-memory", .help = "bytes for the weights when serving, as 80GB"},
    {.name = "--inference-bits",
     .help = "bits of a weight when serving, where no fit chooses them",
     .default_text = "16"},
    {.name = "--latency", .help = "time a generated token may take, as 20ms"},
    {.name = "--serve-on", .help = "what serves, as h100:2: its memory and bandwidth"},
    {.name = "--bandwidth", .help = "bytes/s of the memory that serves, for others"},
    {.name = "--bit-flops",
     .takes = Takes::flag,
     .help = "training costs in proportion to its bits: 6 N D P/16"},
    {.name = "--experts", .help = "experts to take instead of the best number"},
    {.name = "--params", .help = "size of a given model: its best tokens, and what it loses"},
    {.name = "--width", .help = "the same for a given shape"},
    {.name = "--depth", .help = "of it"},
    {.name = "--vocabulary", .help = "entries, counted in N by the readout"},
    {.name = "--context", .help = "tokens a sequence, for attention's FLOPs"},
    {.name = "--head-size", .help = "of attention (default: 64 below width 1024, else 128)"},
    {.name = "--kv-heads", .help = "key and value heads (default: as many as query heads)"},
    {.name = "--ffn-ratio", .help = "hidden units over width", .default_text = "3"},
    {.name = "--plain-ffn",
     .takes = Takes::flag,
     .help = "feed-forward layers of two matrices (default: gated, three)"},
    {.name = "--tied", .takes = Takes::flag, .help = "embedding and readout share a matrix"},
    {.name = "--with", .takes = Takes::list, .help = "further inputs of the law, as NAME=NUMBER"},
    {.name = "--force",
     .takes = Takes::flag,
     .help = "also where a coefficient at its bound decides the loss (`bound-decides`), or the "
             "units of the fit's table are in doubt (`units`)"},
    {.name = "--flat",
     .help = "near-optimal: within this fraction of the loss",
     .default_text = "0.005"},
    {.name = "--level", .help = "probability of the intervals (default: the fit's)"},
    {.name = "--next", .help = "how many runs to train next, so that the interval shrinks most"},
    {.name = "--criterion",
     .help = "what the runs are for: the loss at the target, or all coefficients (D-optimal)",
     .default_text = "target",
     .choices = {"target", "d"}},
    {.name = "--target",
     .takes = Takes::list,
     .help = "where the loss matters, as N=7e9 D=1.4e12 (default: the plan)"},
    {.name = "--candidates", .help = "table of runs to choose from, with columns N and D"},
    {.name = "--max-run-flops", .help = "largest run (default: what all may cost)"},
    {.name = "--next-flops", .help = "of all runs together (default: a tenth of the target's)"},
    {.name = "--out", .help = "file that `rung report` draws"}};

}  // namespace

extern const Verb plan_verb;
const Verb plan_verb{
    .name = "plan",
    .group = "laws",
    .summary = "what to train under a budget, from fits, and which runs to train next, or refuse",
    .example = "rung plan fit.json --time 30d --hardware h100:64 --out plan.json",
    .options = options_of_plan,
    .run = run_plan};

}  // namespace rung
