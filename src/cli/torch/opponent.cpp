#include "cli/torch/opponent.h"

#include "core/error.h"
#include "core/first_line.h"

namespace rung {
namespace {

void give_up(Opponent& opponent, const GpuCase& c, Output& out, const std::string& why) {
  out.warn(fmt::format("bench: no rival for shape {}: {}", c.shape, why));
  opponent.process.reset();
  opponent.prepared = nullptr;
}

void send(Opponent& opponent, const GpuCase& c, const Json& request, Output& out) {
  try {
    opponent.process->send(request);
  } catch (const Error& error) {
    give_up(opponent, c, out, error.what());
  }
}

// The answer to the oldest request; nothing where the rival failed, which is then given up.
std::optional<Json> answer(Opponent& opponent, const GpuCase& c, Output& out) {
  if (!opponent.process) return std::nullopt;
  try {
    Json json = opponent.process->receive();
    if (!json.contains("error")) return json;
    give_up(opponent, c, out, json.at("error").get<std::string>());
  } catch (const Error& error) {
    give_up(opponent, c, out, error.what());
  }
  return std::nullopt;
}

// CUDA graphs that torch.compile makes itself differ from one graph of the step where launches
// matter; large shapes skip that form and its compilation.
Json request_of(const GpuCase& c, const BenchOptions& options) {
  Json forms = Json::array({"autocast/step"});
  if (c.width < 512) forms.push_back("copies/trees");
  forms.push_back("copies/step");
  if (!options.rival_forms.empty()) forms = options.rival_forms;
  return {{"do", "prepare"},  {"width", c.width}, {"depth", c.depth},
          {"heads", c.heads}, {"inner", c.inner}, {"context", c.context},
          {"batch", c.batch}, {"forms", forms},   {"vocabulary", c.vocabulary},
          {"mixer", c.mixer}};
}

void finish_prepare(Opponent& opponent, const GpuCase& c, Output& out) {
  const std::optional<Json> json = answer(opponent, c, out);
  if (!json) return;
  const int64_t parameters = json->at("parameters").get<int64_t>();
  if (const int64_t ours = parameters_of(c); parameters != ours)
    return give_up(opponent, c, out,
                   fmt::format("its model has {} parameters, ours {}", parameters, ours));
  opponent.prepared = *json;
  std::string forms;
  for (const Json& form : json->at("forms"))
    forms += form.contains("error")
                 ? fmt::format("; {} failed: {}", form.at("form").get<std::string>(),
                               first_line(form.at("error").get<std::string>()))
                 : fmt::format("; {} {:.3f} ms, compiled in {:.1f} s",
                               form.at("form").get<std::string>(),
                               1e3 * form.at("step_seconds").get<double>(),
                               form.at("compile_seconds").get<double>());
  out.note(fmt::format("rival {}: {}{}", c.shape,
                       json->contains("chunk")
                           ? fmt::format("chunks of {}", json->at("chunk").get<int64_t>())
                           : json->value("attention", "no") + " attention",
                       forms));
}

}  // namespace

Opponents start_opponents(std::span<const GpuCase* const> cases, const BenchOptions& options) {
  Opponents opponents;
  for (const GpuCase* c : cases)
    if (Opponent& opponent = opponents[c->shape];
        !has_plain(*c) && !options.python.empty() && !opponent.process)
      opponent.process = std::make_unique<Rival>(rival_command(options, "rival_gpu.py"));
  return opponents;
}

void prepare(Opponents& opponents, std::span<const GpuCase* const> cases,
             const BenchOptions& options, Output& out) {
  std::map<std::string_view, const GpuCase*> shapes;
  for (const GpuCase* c : cases)
    if (opponents[c->shape].process) shapes[c->shape] = c;
  for (const auto& [shape, c] : shapes) send(opponents[shape], *c, request_of(*c, options), out);
  for (const auto& [shape, c] : shapes) finish_prepare(opponents[shape], *c, out);
}

std::optional<Round> rival_round(Opponent& opponent, const GpuCase& c, const Bench& bench) {
  if (!opponent.process || opponent.prepared.is_null()) return std::nullopt;
  Output& out = *bench.arguments.out;
  const double seconds = bench.options.seconds;
  bench.meter.begin();
  send(opponent, c, {{"do", "round"}, {"seconds", seconds}}, out);
  const std::optional<Json> json = answer(opponent, c, out);
  const PowerUse use = bench.meter.end(untimed_share * seconds);
  if (!json) return std::nullopt;
  return Round{json->at("rate").get<double>(), use};
}

}  // namespace rung
