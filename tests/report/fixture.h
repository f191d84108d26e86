// A made-up climb, written as the files that a real one leaves: loss = 1.1 + 60 N^-0.37 with
// ripples of 0.3 %.
#pragma once
#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include "core/events.h"
#include "core/files.h"
#include "core/hash.h"
#include "core/json.h"
#include "core/table.h"

namespace rung::fixture {

enum class Stage { started, sweep, ladder, predicted, done };

inline double law(double n) {
  return 1.1 + 60.0 * std::pow(n, -0.37);
}
inline double ripple(int i) {
  return 1 + 0.003 * std::sin(2.4 * i + 1);
}

inline void write_log(const fs::path& folder, double tokens, double last, int members) {
  std::string text;
  for (int step = 1; step <= 400; ++step) {
    Json loss = Json::array();
    for (int m = 0; m < members; ++m)
      loss.push_back(last * (1 + 2.2 * std::pow(step, -0.55)) +
                     0.04 * std::sin(1.7 * step * step + m));
    Json event = {{"event", "step"}, {"step", step}, {"tokens", tokens * step / 400}};
    event["loss"] = members == 1 ? loss[0] : loss;
    text += event.dump() + "\n";
  }
  write_file(folder / "log.jsonl", text);
}

struct Table {
  const TableRow head = {"run",  "member",  "kind",          "status", "used", "width", "depth",
                         "seed", "lr",      "batch_tokens",  "N",      "D",    "C",     "L",
                         "L_se", "seed_sd", "bits_per_byte", "seconds"};
  std::string text = csv_line(head);
  void add(const std::string& run, int member, const std::string& kind, bool used, double width,
           double lr, double batch, double n, double d, double loss) {
    const auto s = [](double v) { return fmt::format("{:.10g}", v); };
    text += csv_line({run, std::to_string(member), kind, "done", used ? "1" : "0", s(width), "4",
                      "1", s(lr), s(batch), s(n), s(d), s(6 * n * d), s(loss), "0.0015", "0.004",
                      s(loss / std::log(2.0)), s(2 + n / 1e5)});
  }
};

inline void add_sweeps(const fs::path& folder, Table& table) {
  int i = 0;
  for (const double width : {32.0, 64.0})
    for (const double batch : {512.0, 2048.0}) {
      const double n = 60 * width * width, d = 20 * n,
                   optimum = -7.3 + 0.25 * std::log2(batch / 512);
      const auto run = fmt::format("sweep-w{:.0f}-b{:.0f}", width, batch);
      for (int k = 0; k < 8; ++k) {
        const double x = -10.0 + k * 0.8;
        const double loss = law(n) * (1.02 + 0.006 * (x - optimum) * (x - optimum));
        table.add(run, k, "sweep", true, width, std::exp2(x), batch, n, d, loss);
      }
      write_log(folder / "runs" / run, d, law(n), 8), ++i;
    }
}

inline Json add_ladder(const fs::path& folder, Table& table) {
  Json residuals = Json::array();
  int i = 0;
  for (const double width : {24.0, 32.0, 48.0, 64.0, 96.0, 128.0}) {
    const double n = 60 * width * width, d = 20 * n;
    const bool used = width > 24;
    const double loss = (used ? law(n) : 1.05 * law(n)) * ripple(i++);
    const auto run = fmt::format("ladder-w{:.0f}", width);
    table.add(run, 0, "ladder", used, width, 0.0068, 2048, n, d, loss);
    write_log(folder / "runs" / run, d, loss, 2);
    residuals.push_back(
        {{"run", run}, {"C", 6 * n * d}, {"L", loss}, {"fitted", law(n)}, {"used", used}});
  }
  return residuals;
}

inline Json fit_of(const Json& residuals) {
  Json curve = Json::array();
  for (double n = 3e4; n < 6e6; n *= 1.1) {
    const double half = 0.004 + 0.006 * std::fabs(std::log10(n / 4e5));
    curve.push_back({{"C", 120 * n * n},
                     {"loss", law(n)},
                     {"lo", law(n) * (1 - half)},
                     {"hi", law(n) * (1 + half)}});
  }
  const auto coefficient = [](double v) {
    return Json{{"value", v}, {"se", 0.05 * v}, {"lo", 0.9 * v}, {"hi", 1.1 * v}};
  };
  return {{"status", "fitted"},
          {"law", "power"},
          {"formula", "L = E + A / N^alpha"},
          {"points", 5},
          {"objective", {{"name", "huber-log"}, {"delta", 1e-3}, {"value", 1.2e-5}}},
          {"coefficients",
           {{"E", coefficient(1.1)}, {"A", coefficient(60)}, {"alpha", coefficient(0.37)}}},
          {"diagnostics",
           {{{"code", "regime"},
             {"severity", "note"},
             {"text", "ladder-w24 lies before the bend and is left out."}},
            {{"code", "few-points"},
             {"severity", "warning"},
             {"text", "5 rungs determine 3 coefficients."}}}},
          {"checklist",
           {{"data_points", 5},
            {"parameter_count", "body + readout, no embedding"},
            {"optimizer", "huber-log on a grid, polished"},
            {"initialisations", 64},
            {"bootstrap", 1000},
            {"learning_rate_tuned_at_each_size", true}}},
          {"curve", curve},
          {"residuals", residuals}};
}

inline void write_prediction(const fs::path& folder) {
  const double n = 60 * 256.0 * 256.0, loss = law(n);
  write_json(folder / "prediction.json",
             {{"target",
               {{"N", n},
                {"D", 20 * n},
                {"C", 120 * n * n},
                {"width", 256},
                {"depth", 4},
                {"lr", 0.0068}}},
              {"held_out", {{"sha256", sha256("held out")}, {"tokens", 65536}}},
              {"law", "power"},
              {"loss", loss},
              {"lo", 0.982 * loss},
              {"hi", 1.018 * loss},
              {"level", 0.9},
              {"sources",
               {{"fit", 0.011 * loss},
                {"seeds", 0.004 * loss},
                {"form", 0.007 * loss},
                {"rollout", 0.011 * loss}}},
              {"runs_csv_sha256", sha256_file(folder / "runs.csv")}});
}

// `name` goes into a run's name and the configuration, for text that must be escaped.
inline void write_climb(const fs::path& folder, Stage stage, const std::string& name = "default") {
  fs::remove_all(folder);
  fs::create_directories(folder / "target");
  for (const double width : {32.0, 64.0})
    for (const double batch : {512.0, 2048.0})
      fs::create_directories(folder / "runs" / fmt::format("sweep-w{:.0f}-b{:.0f}", width, batch));
  for (const double width : {24.0, 32.0, 48.0, 64.0, 96.0, 128.0})
    fs::create_directories(folder / "runs" / fmt::format("ladder-w{:.0f}", width));
  write_file(folder / "config.toml",
             "parametrisation = \"umup\"\n\n[data]\npath = \"" + name + "\"\n");
  write_json(folder / "plan.json", {{"flops", 2.5e13}});
  JsonLog log(folder / "log.jsonl");
  log.write({{"event", "start"},
             {"argv", {"climb", "--data", name, "--budget", "4min", "--out", folder.string()}}});
  log.write({{"event", "stage"}, {"stage", "sweep"}});
  if (stage == Stage::started) return;
  Table table;
  add_sweeps(folder, table);
  write_file(folder / "runs.csv", table.text);
  if (stage == Stage::sweep) return;
  log.write({{"event", "stage"}, {"stage", "ladder"}});
  const auto residuals = add_ladder(folder, table);
  write_file(folder / "runs.csv", table.text);
  if (stage == Stage::ladder) return;
  write_json(folder / "fit.json", fit_of(residuals));
  write_prediction(folder);
  log.write({{"event", "prediction"}, {"sha256", sha256_file(folder / "prediction.json")}});
  log.write({{"event", "stage"}, {"stage", "target"}});
  Json tensors = Json::array();
  for (int layer = 0; layer < 4; ++layer)
    for (const char* part : {"attention.qkv", "attention.out", "ffn.up", "ffn.down"})
      tensors.push_back({{"name", fmt::format("blocks.{}.{}", layer, part)},
                         {"role", "hidden"},
                         {"fan_in", 256},
                         {"fan_out", 768},
                         {"A", 1.0 / 16},
                         {"B", 1.0},
                         {"C", 1.0 / 16},
                         {"decay", 1.0},
                         {"epsilon", 1.0}});
  write_json(folder / "audit.json", {{"tensors", tensors}});
  const double n = 60 * 256.0 * 256.0, loss = 1.0034 * law(n);
  write_log(folder / "target", 20 * n, loss, 1);
  if (stage == Stage::predicted) return;
  table.add("target", 0, "target", true, 256, 0.0068, 4096, n, 20 * n, loss);
  write_file(folder / "runs.csv", table.text);
  log.write({{"event", "end"}, {"status", "done"}, {"seconds", 231.4}});
}

}  // namespace rung::fixture
