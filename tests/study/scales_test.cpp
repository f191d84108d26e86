// The annotated model: what unit scaling promises at the start, and that it looks at training's own
// gradients.
#include "study/scales.h"

#include <ATen/Parallel.h>
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/table.h"
#include "study/probe.h"
#include "support/configs.h"

using namespace rung;
using namespace rung::test;

namespace {

RunConfig scales_config(const char* rule, int64_t width = 32) {
  RunConfig config = tiny_config();
  config.parametrisation = rule;
  config.model.width = width;
  config.train.epsilon = 1e-12;
  config.train.schedule = "constant";
  return config;
}

ScalesResult record(const RunConfig& config, ScalesPlan plan) {
  at::set_num_threads(1);  // tensors this small only lose by more
  return record_scales(config, plan, std::make_shared<ChainSource>(61), make_machine("cpu", 1));
}

const ScaleRow* find(const ScalesResult& result, const std::string& tensor, ScaleKind kind,
                     int64_t step = 0) {
  for (const ScaleRow& row : result.rows)
    if (row.tensor == tensor && row.kind == kind && row.step == step) return &row;
  return nullptr;
}

double rms(const ScalesResult& result, const std::string& tensor, ScaleKind kind,
           int64_t step = 0) {
  const ScaleRow* row = find(result, tensor, kind, step);
  REQUIRE_MESSAGE(row, tensor);
  return row->statistics.rms;
}

// Over all formats.
double lost(const ScaleRow& row) {
  double sum = 0.0;
  for (const FormatFit& fit : row.statistics.formats) sum += fit.plain.lost();
  return sum;
}

// The root of the sum of squares of all weight gradients.
double norm(const ScalesResult& result, int64_t step) {
  double squares = 0.0;
  for (const ScaleRow& row : result.rows)
    if (row.kind == ScaleKind::weight_gradient && row.step == step)
      squares += std::pow(row.statistics.rms, 2) * static_cast<double>(row.statistics.count);
  return std::sqrt(squares);
}

}  // namespace

TEST_CASE("scales: u-muP starts at scale 1 forward and backward, the standard rule does not") {
  RunConfig config = scales_config("umup", 64);
  config.train.batch_tokens = 36 * 18;
  const ScalesResult unit = record(config, {.steps = {0}});
  for (const ScaleRange& r : scale_ranges(unit)) {
    CAPTURE(kind_name(r.kind));
    if (r.kind == ScaleKind::weight) {
      CHECK(r.lo == doctest::Approx(1.0).epsilon(0.05));
      CHECK(r.hi == doctest::Approx(1.0).epsilon(0.05));
    }
  }
  for (const ScaleRow& row : unit.rows) {
    if (row.kind == ScaleKind::weight || row.tensor.starts_with("readout") ||
        row.tensor.ends_with("scores"))
      continue;
    CAPTURE(row.tensor);
    CAPTURE(kind_name(row.kind));
    CHECK(row.statistics.rms > 0.25);
    CHECK(row.statistics.rms < 4.0);
  }
  config.parametrisation = "standard";
  const ScalesResult standard = record(config, {.steps = {0}});
  CHECK(rms(standard, "stream", ScaleKind::gradient) < 0.01);
  CHECK(rms(standard, "blocks.1.ffn.down", ScaleKind::weight) < 0.2);
  CHECK(rms(standard, "blocks.0.mixer.qkv.output", ScaleKind::gradient) < 0.01);
}

TEST_CASE("scales: weight gradients are those that training takes, whatever part is probed") {
  for (const char* rule : {"umup", "standard"})
    for (const bool tied : {false, true}) {
      RunConfig config = scales_config(rule);
      config.precision = "fp64";
      config.model.tied = tied;
      const ScalesResult all = record(config, {.steps = {0, 2}});
      const ScalesResult part = record(config, {.steps = {0, 2}, .probe_tokens = 18});
      Population p({config}, std::make_shared<ChainSource>(61), make_machine("cpu", 1));
      for (const int64_t step : {0, 2}) {
        while (p.step <= step) p.advance();
        CHECK(norm(all, step) == doctest::Approx(p.states[0].gradient_norm).epsilon(1e-10));
        CHECK(norm(part, step) == doctest::Approx(p.states[0].gradient_norm).epsilon(1e-10));
        CHECK(all.losses[step ? 1 : 0] == doctest::Approx(p.states[0].loss).epsilon(1e-10));
      }
      CHECK(find(part, "stream", ScaleKind::activation)->statistics.count == 18 * 32);
    }
}

TEST_CASE("scales: gradients of the stream are whole: both paths of a split add up") {
  RunConfig config = scales_config("standard");
  config.precision = "fp64";
  config.model.depth = 1;
  const ScalesResult r = record(config, {.steps = {0}});
  // The table's output is the stream before the first branch.
  CHECK(rms(r, "embedding.output", ScaleKind::gradient) ==
        doctest::Approx(rms(r, "blocks.0.mixer.stream", ScaleKind::gradient)).epsilon(1e-12));
  CHECK(rms(r, "embedding.output", ScaleKind::activation) ==
        doctest::Approx(rms(r, "blocks.0.mixer.stream", ScaleKind::activation)).epsilon(1e-12));
  // A branch's output has the gradient of the stream that it is added to.
  CHECK(rms(r, "blocks.0.ffn.down.output", ScaleKind::gradient) ==
        doctest::Approx(rms(r, "stream", ScaleKind::gradient)).epsilon(1e-12));
  CHECK(rms(r, "blocks.0.mixer.out.output", ScaleKind::gradient) ==
        doctest::Approx(rms(r, "blocks.0.ffn.stream", ScaleKind::gradient)).epsilon(1e-12));
}

TEST_CASE("scales: every tensor of every kind of block, tied readouts and further heads by name") {
  RunConfig config = scales_config("mup");
  config.model.tied = true;
  config.model.mtp_heads = 2;
  config.model.norm_gain = true;
  config.model.pattern = "attention, mamba2";
  const ScalesResult r = record(config, {.steps = {1}});
  for (const char* tensor : {"embedding.output", "readout.input", "readout.head2.output", "stream",
                             "blocks.0.mixer.scores", "blocks.1.mixer.stream"})
    CHECK_MESSAGE(find(r, tensor, ScaleKind::activation, 1), tensor);
  CHECK(find(r, "final_norm", ScaleKind::weight_gradient, 1));
  CHECK(find(r, "readout.head2.output", ScaleKind::gradient, 1));
  for (const ScaleRow& row : r.rows) CHECK(row.statistics.not_finite == 0);
}

TEST_CASE("scales: classes keep the worst of their layers and steps, and the files hold all rows") {
  const RunConfig config = scales_config("standard");
  const ScalesResult r = record(config, {.steps = {3, 0, 3}});
  CHECK(r.steps == std::vector<int64_t>{0, 3});
  const Json json = to_json(r, config);
  CHECK(json["tensors"].size() == r.rows.size());
  const std::vector<TableRow> csv = read_csv(scales_csv(r), "scales");
  CHECK(csv.size() == r.rows.size() + 1);
  CHECK(std::find(csv[0].begin(), csv[0].end(), "E4M3_scaled_underflow") != csv[0].end());
  for (const ScaleClass& c : scale_classes(r)) {
    CHECK(c.rms.size() == 2);
    const double worst = lost(*c.worst);
    for (const ScaleRow& row : r.rows)
      if (row.kind == c.kind && kind_of(row.tensor) == c.name) CHECK(lost(row) <= worst + 1e-12);
  }
}

TEST_CASE("scales: steps beyond the run, and a member that diverges") {
  RunConfig config = scales_config("standard");
  CHECK_THROWS_WITH_AS(record(config, {.steps = {21}}), doctest::Contains("train.tokens=1512"),
                       Error);
  CHECK_THROWS_AS(record(config, {.steps = {-1}}), Error);
  config.train.lr = 1e30;
  const ScalesResult r = record(config, {.steps = {0, 5}});
  CHECK(r.diverged);
  CHECK(r.steps == std::vector<int64_t>{0});
}
