#include "cli/torch/gpu_row.h"

#include <algorithm>

namespace rung {
namespace {

std::vector<double> rates(std::span<const Round> rounds) {
  std::vector<double> all;
  for (const Round& round : rounds) all.push_back(round.rate);
  return all;
}

// Of the energy that a step took, what its products and bytes would have taken at the rates of
// products and copies that are kept up.
Json energy_share(const GpuRow& row, const Bench& bench, const Json& power, double tokens,
                  double bytes) {
  if (power.is_null() || bench.matmul_joules == 0.0 || bytes == 0.0) return nullptr;
  const double needed =
      row.flops_per_token * bench.matmul_joules + bytes / tokens * bench.copy_joules;
  return needed / power.at("joules_per_token").get<double>();
}

std::string short_rate(double rate) {
  return rate >= 1e6 ? fmt::format("{:.2f}M", rate / 1e6) : fmt::format("{:.1f}k", rate / 1e3);
}

std::string gibibytes(const Json& bytes) {
  return fmt::format("{:.2f} GiB", bytes.get<double>() / 1073741824.0);
}

}  // namespace

double GpuRow::rate() const {
  return median(rates(ours));
}

double GpuRow::rival_rate() const {
  return median(rates(rivals));
}

double GpuRow::ratio() const {
  if (!ratios.empty()) return median(ratios);
  const double work = rival_flops_per_token > 0.0 ? flops_per_token / rival_flops_per_token : 1.0;
  return work * rate() / rival_rate();
}

Json power_json(std::span<const Round> rounds, const char* each) {
  double watts = 0.0, clock = 0.0, limited = 0.0, joules = 0.0;
  int count = 0;
  for (const auto& [rate, use] : rounds) {
    if (use.samples == 0) continue;
    ++count;
    watts += use.watts, clock += use.clock, limited += use.limited, joules += use.watts / rate;
  }
  if (count == 0) return nullptr;
  return {{"watts", watts / count},
          {"clock_hz", clock / count},
          {"power_limited", limited / count},
          {each, joules / count}};
}

std::string power_text(const Json& power) {
  if (power.is_null()) return "-";
  return fmt::format("{:.0f} W, {:.2f} GHz{}", power.at("watts").get<double>(),
                     power.at("clock_hz").get<double>() / 1e9,
                     power.at("power_limited").get<double>() > 0.5 ? " (limit)" : "");
}

Json gpu_row_json(const GpuCase& c, const GpuRow& row, const Bench& bench) {
  const double rate = row.rate(), step = tokens_per_step(c) / rate;
  const double matmul = row.flops_per_token * rate / bench.matmul;
  const std::optional<double> bytes = step_bytes(c);
  const double bandwidth = bytes.value_or(0.0) / step / bench.copy;
  Json json = {{"case", c.name},
               {"seconds", row.seconds},
               {"rate", rate},
               {"unit", "member-tokens/s"},
               {"rival", nullptr},
               {"ratio", nullptr},
               {"rates", rates(row.ours)},
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
               {"light_share", std::max(matmul, bandwidth)},
               {"power", power_json(row.ours)},
               {"rival_power", power_json(row.rivals)}};
  json["energy_share"] =
      energy_share(row, bench, json["power"], tokens_per_step(c), bytes.value_or(0.0));
  if (bytes) json["step_bytes"] = *bytes, json["bandwidth_share"] = bandwidth;
  if (row.rivals.empty()) return json;
  json["rival"] = row.rival_rate();
  json["ratio"] = row.ratio();
  json["rival_rates"] = rates(row.rivals);
  if (has_plain(c)) {
    json["beside"] = c.ffn == "swiglu" ? "adamw" : "swiglu";
    json["added_time"] = row.rival_rate() / rate - 1.0;
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

TableRow gpu_head() {
  return {"case",   "tok/s",          "rival",          "ratio",
          "step",   "matmul",         "bytes",          "energy",
          "memory", "rival's memory", "power",          "rival's power",
          "build",  "capture",        "rival compiles", "took"};
}

TableRow gpu_table_row(const Json& json) {
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
          json.at("energy_share").is_null()
              ? "-"
              : fmt::format("{:.0f} %", 100.0 * number("energy_share")),
          gibibytes(json.at("memory_bytes")),
          rival ? gibibytes(json.at("rival_memory_bytes")) : "-",
          power_text(json.at("power")),
          power_text(json.at("rival_power")),
          fmt::format("{:.2f} s", number("build_seconds")),
          fmt::format("{:.2f} s", number("capture_seconds")),
          json.contains("rival_compile_seconds")
              ? fmt::format("{:.1f} s", number("rival_compile_seconds"))
              : "-",
          fmt::format("{:.1f} s", number("seconds"))};
}

}  // namespace rung
