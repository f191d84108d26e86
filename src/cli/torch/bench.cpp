// rung bench: training speed against plain PyTorch on the same model and machine, in turns.
#include "cli/torch/bench.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "cli/torch/profile.h"
#include "config/resolve.h"
#include "core/error.h"
#include "core/folder.h"

namespace rung {

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : 0.5 * (values[half - 1] + values[half]);
}

std::string joined(std::span<const std::string> words, std::string_view between) {
  std::string all;
  for (const std::string& word : words) {
    if (!all.empty()) all += between;
    all += word;
  }
  return all;
}

// The script lies beside a folder that holds this program, or below the working folder.
std::vector<std::string> rival_command(const BenchOptions& options, const std::string& name) {
  namespace fs = std::filesystem;
  std::error_code error;
  std::string script = "bench/" + name;
  fs::path folder = fs::read_symlink("/proc/self/exe", error).parent_path();
  for (; folder.has_relative_path(); folder = folder.parent_path()) {
    if (!fs::is_regular_file(folder / "bench" / name, error)) continue;
    script = folder / "bench" / name;
    break;
  }
  return {options.python, script, "--serve"};
}

void add_profile(const BenchOptions& options, std::string_view name,
                 const std::function<std::unique_ptr<Population>()>& make, Json& row,
                 BenchTable& table) {
  if (options.profile.empty()) return;
  constexpr int64_t steps = 3;
  make_folder(options.profile, "bench");
  const StepProfile profile =
      profile_steps(make, steps, fmt::format("{}/{}.json", options.profile, name));
  row["profile"] = profile_json(profile);
  table.profiles += "\n" + profile_text(std::string(name), profile);
}

void set_bench_key(RunConfig& config, const std::string& text) {
  const Setting setting = parse_setting(text);
  if (setting.values.size() != 1)
    fail_usage("[bench] --set takes one value a key. Received {}.", text);
  apply_setting(config, setting.key, setting.values.front());
}

namespace {

int rounds_of(const Arguments& arguments, int otherwise) {
  if (!arguments.has("--rounds")) return otherwise;
  const int64_t rounds = arguments.integer("--rounds");
  if (rounds < 1 || rounds > 1000)
    fail_usage("[bench] --rounds is from 1 to 1000. Received {}.", rounds);
  return static_cast<int>(rounds);
}

BenchOptions read_bench_options(const Arguments& arguments) {
  BenchOptions options;
  options.steps = arguments.integer("--steps");
  options.seconds = arguments.number("--seconds");
  options.cpu_rounds = rounds_of(arguments, options.cpu_rounds);
  options.gpu_rounds = rounds_of(arguments, options.gpu_rounds);
  options.threads = arguments.threads;
  options.compile = arguments.flag("--compile");
  options.any_order = arguments.flag("--any-order");
  options.profile = arguments.text("--profile");
  options.settings = arguments.list("--set");
  RunConfig any;
  for (const std::string& text : options.settings) set_bench_key(any, text);
  options.rival_forms = arguments.list("--rival-form");
  if (options.steps < 1 || options.steps > 1'000'000)
    fail_usage("[bench] --steps is from 1 to 1,000,000. Received {}.", options.steps);
  if (!(options.seconds >= 0.01 && options.seconds <= 600.0))
    fail_usage("[bench] --seconds is from 0.01 to 600. Received {}.", options.seconds);
  options.python = arguments.text("--rival-python");
  if (const char* given = std::getenv("RUNG_PYTHON"); options.python.empty() && given)
    options.python = given;
  if (options.python.empty())
    arguments.out->warn("bench: no rival; give --rival-python a Python that has torch");
  return options;
}

// The cases that were named, all without names; none where the device asked for is another.
template <class Cases>
std::vector<const typename Cases::value_type*> choose(const Cases& cases,
                                                      const Arguments& arguments,
                                                      std::string_view device) {
  const std::vector<std::string> names = arguments.list("CASE");
  const bool other = !arguments.device.empty() && arguments.device != device;
  std::vector<const typename Cases::value_type*> chosen;
  for (const auto& c : cases) {
    const bool named = std::find(names.begin(), names.end(), c.name) != names.end();
    if (named && other)
      fail_usage("[bench] {} is a case for {}. Received --device {}.", c.name, device,
                 arguments.device);
    if (!other && (named || names.empty())) chosen.push_back(&c);
  }
  return chosen;
}

// Why the GPU's cases cannot run here; empty when they can.
std::string gpu_absent() {
  try {
    make_machine("cuda", 1);
    return {};
  } catch (const Error& error) {
    return error.what();
  }
}

// On a host without a GPU its cases are skipped with one line, unless --device cuda insists.
void skip_absent(std::vector<const GpuCase*>& cases, const Arguments& arguments, Json& skipped) {
  if (cases.empty()) return;
  const std::string reason = gpu_absent();
  if (reason.empty()) return;
  if (arguments.device == "cuda") fail("{}", reason);
  std::vector<std::string> names;
  for (const GpuCase* c : cases) {
    names.emplace_back(c->name);
    skipped.push_back({{"case", c->name}, {"reason", reason}});
  }
  arguments.out->note(fmt::format("bench: skipped {}: {}", joined(names, ", "), reason));
  cases.clear();
}

int run_bench(const Arguments& arguments) {
  const std::vector<const CpuCase*> cpu = choose(cpu_cases, arguments, "cpu");
  std::vector<const GpuCase*> gpu = choose(gpu_cases, arguments, "cuda");
  Json skipped = Json::array();
  skip_absent(gpu, arguments, skipped);
  const BenchOptions options = read_bench_options(arguments);
  Json cases = Json::array(), machine;
  std::string text;
  bool failed = false;
  const auto add = [&](const BenchTable& table) {
    for (const Json& row : table.cases) cases.push_back(row);
    if (!table.machine.is_null()) machine = table.machine;
    failed = failed || table.failed;
    text += (text.empty() ? "" : "\n") + text_table(table.head, table.rows) + table.profiles;
  };
  if (!cpu.empty()) add(run_cpu_cases(cpu, options, arguments));
  if (!gpu.empty()) add(run_gpu_cases(gpu, options, arguments));
  arguments.out->result({{"cases", cases},
                         {"skipped", skipped},
                         {"gpu", machine},
                         {"threads", options.threads},
                         {"steps", options.steps},
                         {"seconds_a_round", options.seconds}},
                        text.empty() ? "No case was run." : text);
  return failed ? 1 : 0;
}

std::vector<std::string> case_names() {
  std::vector<std::string> names;
  for (const CpuCase& c : cpu_cases) names.emplace_back(c.name);
  for (const GpuCase& c : gpu_cases) names.emplace_back(c.name);
  return names;
}

}  // namespace

extern const Verb bench_verb;
const Verb bench_verb{
    .name = "bench",
    .group = "tools",
    .summary = "training speed against plain PyTorch on the same model and machine",
    .example = "rung bench sweep8-w64 --rounds 3 --rival-python python3",
    .options = {{.name = "CASE",
                 .takes = Takes::list,
                 .help = "cases to run; without any all that this host or --device can run",
                 .choices = case_names()},
                {.name = "--steps",
                 .help = "timed steps of a round on the CPU",
                 .default_text = "300"},
                {.name = "--seconds",
                 .help = "timed seconds of a round on the GPU, after a fifth of that untimed",
                 .default_text = "2"},
                {.name = "--rounds",
                 .help = "rounds of rival and ours in turn; medians count (2, on the GPU 3)"},
                {.name = "--rival-python", .help = "Python with torch for the rival"},
                {.name = "--any-order",
                 .takes = Takes::flag,
                 .help = "on the GPU ours may add gradients in any order, as the rival does "
                         "(train.deterministic = false)"},
                {.name = "--set",
                 .takes = Takes::list,
                 .help = "key=value settings of ours on the GPU (docs/config.md)"},
                {.name = "--rival-form",
                 .takes = Takes::list,
                 .help = "forms of the GPU's rival to compile and try (bench/rival_gpu.py); the "
                         "fastest counts, and a large one compiles for a minute"},
                {.name = "--compile",
                 .takes = Takes::flag,
                 .help = "let the CPU's rival use torch.compile; the GPU's always does"},
                {.name = "--profile",
                 .help = "also trace three steps of each case, written to this folder for "
                         "chrome://tracing or Perfetto, and say what takes their time"}},
    .run = run_bench};

}  // namespace rung
