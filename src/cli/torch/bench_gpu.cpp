// The GPU cases of rung bench. Every shape's rival (bench/rival_gpu.py, a process each) compiles
// first, all of them at once, while nothing is timed; then rival and ours take turns on the card.
#include <algorithm>
#include <cmath>
#include <map>

#include "cli/torch/bench.h"
#include "cli/torch/gpu_side.h"
#include "cli/torch/opponent.h"
#include "core/error.h"
#include "study/ceiling.h"
#include "train/device.h"

namespace rung {
namespace {

struct GpuRow {
  std::vector<double> rates, rival_rates, ratios;  // ratios by round where they took turns
  double build_seconds = 0.0, capture_seconds = 0.0, flops_per_token = 0.0, seconds = 0.0;
  double rival_flops_per_token = 0.0;  // where the rival is Rung's own
  int64_t memory = 0, rival_memory = 0;
  Json rival;  // PyTorch's answer to `prepare`; null without it
  // Of tokens a second, or beside Rung's own of FLOP/s.
  double ratio() const {
    if (!ratios.empty()) return median(ratios);
    const double work = rival_flops_per_token > 0.0 ? flops_per_token / rival_flops_per_token : 1.0;
    return work * median(rates) / median(rival_rates);
  }
};

void note_ours(GpuRow& row, const Ours& ours, const GpuCase& c) {
  row.build_seconds = ours.build_seconds;
  row.capture_seconds = ours.capture_seconds;
  row.memory = ours.memory;
  row.flops_per_token = flops_of_token(ours, c);
}

// Rival, ours, rival, ours, ...: a card that slows down slows both.
GpuRow in_turns(const GpuCase& c, Opponent& opponent, const Bench& bench) {
  GpuRow row;
  const Ours ours = start(c, bench);
  note_ours(row, ours, c);
  row.rival = opponent.prepared;
  for (int round = 0; round < bench.options.gpu_rounds; ++round) {
    const std::optional<double> rival =
        rival_round(opponent, c, bench.options.seconds, *bench.arguments.out);
    row.rates.push_back(our_round(ours, c, bench));
    if (!rival) continue;
    row.rival_rates.push_back(*rival);
    row.ratios.push_back(row.rates.back() / *rival);
  }
  return row;
}

// Ours, the rival, ours again, each alone on the card: for two that may not fit beside each other.
GpuRow sandwich(const GpuCase& c, Opponents& opponents, const Bench& bench) {
  GpuRow row;
  Opponent& opponent = opponents[c.shape];
  const int rounds = bench.options.gpu_rounds, before = (rounds + 1) / 2;
  const auto ours = [&](int count) {
    if (count < 1) return;
    const Ours side = start(c, bench);
    note_ours(row, side, c);
    for (int i = 0; i < count; ++i) row.rates.push_back(our_round(side, c, bench));
  };
  ours(before);
  restart_gpu_memory();
  const GpuCase* self = &c;
  prepare(opponents, std::span(&self, 1), bench.options, *bench.arguments.out);
  row.rival = opponent.prepared;
  for (int round = 0; round < rounds; ++round)
    if (const std::optional<double> rival =
            rival_round(opponent, c, bench.options.seconds, *bench.arguments.out))
      row.rival_rates.push_back(*rival);
  opponents.erase(c.shape);
  ours(rounds - before);
  return row;
}

// The plain case, ours, the plain case again, each alone on the card: an optimizer whose first step
// takes long is started once.
GpuRow beside_plain(const GpuCase& c, const Bench& bench) {
  GpuRow row;
  const GpuCase plain = plain_of(c);
  const int rounds = bench.options.gpu_rounds, before = (rounds + 1) / 2;
  const auto beside = [&](int count) {
    if (count < 1) return;
    const Ours side = start(plain, bench);
    row.rival_flops_per_token = flops_of_token(side, plain);
    row.rival_memory = side.memory;
    for (int i = 0; i < count; ++i) row.rival_rates.push_back(our_round(side, plain, bench));
  };
  beside(before);
  {
    const Ours side = start(c, bench);
    note_ours(row, side, c);
    for (int i = 0; i < rounds; ++i) row.rates.push_back(our_round(side, c, bench));
  }
  beside(rounds - before);
  return row;
}

Json gpu_row_json(const GpuCase& c, const GpuRow& row, const Bench& bench) {
  const double rate = median(row.rates), step = tokens_per_step(c) / rate;
  const double matmul = row.flops_per_token * rate / bench.matmul;
  const std::optional<double> bytes = step_bytes(c);
  const double bandwidth = bytes.value_or(0.0) / step / bench.copy;
  Json json = {{"case", c.name},
               {"seconds", row.seconds},
               {"rate", rate},
               {"unit", "member-tokens/s"},
               {"rival", nullptr},
               {"ratio", nullptr},
               {"rates", row.rates},
               {"members", c.members},
               {"any_order", bench.options.any_order},
               {"settings", bench.options.settings},
               {"step_seconds", step},
               {"build_seconds", row.build_seconds},
               {"capture_seconds", row.capture_seconds},
               {"memory_bytes", row.memory},
               {"flops_per_token", row.flops_per_token},
               {"step_bytes", nullptr},
               {"matmul_share", matmul},
               {"bandwidth_share", nullptr},
               {"light_share", std::max(matmul, bandwidth)}};
  if (bytes) json["step_bytes"] = *bytes, json["bandwidth_share"] = bandwidth;
  if (row.rival_rates.empty()) return json;
  json["rival"] = median(row.rival_rates);
  json["ratio"] = row.ratio();
  json["rival_rates"] = row.rival_rates;
  if (has_plain(c)) {
    json["beside"] = c.ffn == "swiglu" ? "adamw" : "swiglu";
    json["added_time"] = median(row.rival_rates) / rate - 1.0;
    json["order"] = "rival, ours, rival";
    json["rival_memory_bytes"] = row.rival_memory;
    json["rival_flops_per_token"] = row.rival_flops_per_token;
    return json;
  }
  json["order"] = c.alone ? "ours, rival, ours" : "in turns";
  json["rival_memory_bytes"] = row.rival.at("memory");
  json["rival_compile_seconds"] = row.rival.at("first_compile_seconds");
  json["rival_form"] = row.rival.at("form");
  json["rival_forms"] = row.rival.at("forms");
  json["rival_attention"] = row.rival.value("attention", "");
  if (row.rival.contains("chunk")) json["rival_chunk"] = row.rival.at("chunk");
  return json;
}

std::string short_rate(double rate) {
  return rate >= 1e6 ? fmt::format("{:.2f}M", rate / 1e6) : fmt::format("{:.1f}k", rate / 1e3);
}

std::string gibibytes(const Json& bytes) {
  return fmt::format("{:.2f} GiB", bytes.get<double>() / 1073741824.0);
}

const TableRow head = {"case",    "tok/s",          "rival",  "ratio",          "step",
                       "matmul",  "bytes",          "memory", "rival's memory", "build",
                       "capture", "rival compiles", "took"};

TableRow table_row(const Json& json) {
  const auto number = [&](const char* key) { return json.at(key).get<double>(); };
  const bool rival = !json.at("rival").is_null();
  return {json.at("case").get<std::string>(),
          short_rate(number("rate")),
          rival ? short_rate(number("rival")) : "-",
          rival ? fmt::format("{:.2f} x", number("ratio")) : "-",
          fmt::format("{:.3f} ms", 1e3 * number("step_seconds")),
          fmt::format("{:.0f} %", 100.0 * number("matmul_share")),
          json.at("bandwidth_share").is_null()
              ? "-"
              : fmt::format("{:.0f} %", 100.0 * number("bandwidth_share")),
          gibibytes(json.at("memory_bytes")),
          rival ? gibibytes(json.at("rival_memory_bytes")) : "-",
          fmt::format("{:.2f} s", number("build_seconds")),
          fmt::format("{:.2f} s", number("capture_seconds")),
          json.contains("rival_compile_seconds")
              ? fmt::format("{:.1f} s", number("rival_compile_seconds"))
              : "-",
          fmt::format("{:.1f} s", number("seconds"))};
}

// A case that fails (too large for this card) leaves the others alone.
Json run_gpu_case(const GpuCase& c, Opponents& opponents, const Bench& bench, BenchTable& table) {
  const auto begin = Clock::now();
  try {
    GpuRow row = has_plain(c) ? beside_plain(c, bench)
                 : c.alone    ? sandwich(c, opponents, bench)
                              : in_turns(c, opponents[c.shape], bench);
    row.seconds = seconds_since(begin);
    Json json = gpu_row_json(c, row, bench);
    const auto make = [&] {
      restart_gpu_memory();
      return make_ours(c, bench, zipf_tokens(c.vocabulary));
    };
    add_profile(bench.options, c.name, make, json, table);
    bench.arguments.out->note(joined(table_row(json), "  "));
    return json;
  } catch (const std::exception& error) {
    if (bench.arguments.interrupted()) throw;
    bench.arguments.out->warn(fmt::format("bench: {} failed: {}", c.name, error.what()));
    return {{"case", c.name}, {"error", error.what()}};
  }
}

}  // namespace

BenchTable run_gpu_cases(std::span<const GpuCase* const> cases, const BenchOptions& options,
                         const Arguments& arguments) {
  Bench bench{options, arguments, make_machine("cuda", options.threads)};
  Opponents opponents = start_opponents(cases, options);
  std::vector<const GpuCase*> order(cases.begin(), cases.end());
  const auto together =
      std::stable_partition(order.begin(), order.end(), [](const GpuCase* c) { return !c->alone; });
  std::reverse(order.begin(), together);  // large shapes first, so that their rivals leave first
  prepare(opponents, std::span(order.begin(), together), options, *arguments.out);
  bench.matmul = matmul_ceiling("cuda", "bf16");
  bench.copy = copy_ceiling("cuda");
  BenchTable table{.machine = {{"name", gpu_name()},
                               {"matmul_flops", bench.matmul},
                               {"copy_bytes_per_second", bench.copy}}};
  arguments.out->note(fmt::format("{}: matmul {:.0f} TFLOP/s, copy {:.2f} TB/s", gpu_name(),
                                  bench.matmul / 1e12, bench.copy / 1e12));
  std::map<const GpuCase*, Json> rows;
  for (size_t i = 0; i < order.size(); ++i) {
    rows[order[i]] = run_gpu_case(*order[i], opponents, bench, table);
    if (i + 1 == order.size() || order[i + 1]->shape != order[i]->shape)
      opponents.erase(order[i]->shape);
  }
  restart_gpu_memory();
  table.head = head;
  for (const GpuCase* c : cases) {
    table.cases.push_back(rows.at(c));
    if (rows.at(c).contains("error"))
      table.failed = true;
    else
      table.rows.push_back(table_row(rows.at(c)));
  }
  return table;
}

}  // namespace rung
