#include <algorithm>
#include <map>

#include "config/resolve.h"
#include "core/error.h"
#include "core/hash.h"
#include "study/climb_stages.h"
#include "study/forecast.h"
#include "study/prediction_file.h"

namespace rung {
namespace {

ForecastOptions forecast_options(const Climb& c) {
  return {.law = c.request.law,
          .level = c.request.level,
          .seed = c.plan.options.seed,
          .measures = c.plan.options.measures};
}

Json forecast_entry(const Forecast& f) {
  const Fit& fit = f.fits[f.best];
  Json coefficients;
  for (const Estimate& e : fit.coefficients) coefficients[e.name] = e.value;
  return {{"law", fit.law->name},  {"coefficients", coefficients}, {"loss", f.prediction.loss},
          {"lo", f.prediction.lo}, {"hi", f.prediction.hi},        {"level", f.prediction.level},
          {"sources", f.sources},  {"candidates", f.candidates}};
}

// A second prediction from rungs of at most 1/50 of the target's FLOPs, where there are enough of
// them.
Json far_prediction(const Climb& c, const std::vector<RunRecord>& ladder) {
  std::vector<RunRecord> small;
  for (const RunRecord& r : ladder)
    if (r.C * 50.0 <= c.plan.target.point.C) small.push_back(r);
  try {
    Json entry = forecast_entry(forecast(small, c.plan.target.point, forecast_options(c)));
    double largest = 0.0;
    for (const RunRecord& r : small) largest = std::max(largest, r.C);
    entry["extrapolation_flops"] = c.plan.target.point.C / largest;
    return entry;
  } catch (const Error&) {
    return nullptr;
  }
}

// What the checklist of a fit cannot know of a table that others wrote, this climb knows.
Json known_of_runs(const Climb& c, const std::vector<RunRecord>& ladder) {
  const TrainConfig& train = c.request.base.train;
  std::map<std::string, int> seeds;
  for (const RunRecord& r : ladder) ++seeds[r.run];
  const auto [least, most] = std::minmax_element(
      seeds.begin(), seeds.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  const int64_t context = c.request.base.model.context;
  return {{"counting",
           "N: body and readout, no embedding table; D: target tokens, repeats included; C: three "
           "forward passes, causal attention halved"},
          {"hyperparameters",
           fmt::format("learning rate and batch by the rule of rule.json, each run's in runs.csv; "
                       "schedule {}, warmup {:g}, cooldown {:g}",
                       train.schedule, train.warmup, train.cooldown)},
          {"checkpoints", fmt::format("one a run, at its end, its learning rate {}",
                                      train.schedule == "constant" ? "not decayed" : "decayed")},
          {"evaluation", fmt::format("{} held-out tokens at a context of {}, not smoothed; their "
                                     "hash is in prediction.json",
                                     c.held_out.windows() * context, context)},
          {"repeats", least->second == most->second
                          ? fmt::format("{} seeds a rung", most->second)
                          : fmt::format("{} to {} seeds a rung", least->second, most->second)}};
}

// Of the table without the clock's column, so that equal climbs record equal predictions.
std::string runs_sha256(std::vector<RunRecord> records) {
  for (RunRecord& r : records) r.seconds = NAN;
  return sha256(to_csv(records));
}

// The prediction's hash stands in the log before the target's first step; a climb that was killed
// between the two files logs it on resumption. Fails when the file is no longer the one recorded.
void record_prediction(Climb& c) {
  const fs::path file = c.file("prediction.json");
  if (is_recorded(file.parent_path())) return;
  const Json prediction = read_json(file);
  c.log->write({{"event", "prediction"},
                {"sha256", sha256_file(file)},
                {"loss", prediction.at("loss")},
                {"lo", prediction.at("lo")},
                {"hi", prediction.at("hi")}},
               true);
}

}  // namespace

// Writes fit.json and prediction.json, and the prediction's hash into the log, before the target's
// first step.
Json predict_stage(Climb& c, const std::vector<RunRecord>& ladder, const LrRule& rule) {
  enter_stage(c, "prediction");
  const PathPoint& target = c.plan.target.point;
  if (!fs::exists(c.file("prediction.json"))) {
    const Forecast f = forecast(ladder, target, forecast_options(c));
    std::vector<PathPoint> path;
    for (const PlannedRun& run : c.plan.ladder) path.push_back(run.point);
    path.push_back(target);
    Json fit = forecast_json(f, ladder, path);
    fit["checklist"].erase("not_stated");
    fit["checklist"]["runs"] = known_of_runs(c, ladder);
    write_json(c.file("fit.json"), fit);
    const RunConfig config =
        members_of(c.plan.target, c.request.base, rule.at(static_cast<double>(target.tokens)),
                   rule.batch_coefficient, c.plan.options)
            .front();
    Json prediction{{"target",
                     {{"N", target.N},
                      {"D", config.train.tokens},
                      {"C", target.C},
                      {"width", target.width},
                      {"depth", config.model.depth},
                      {"lr", config.train.lr},
                      {"batch_tokens", config.train.batch_tokens}}},
                    {"held_out",
                     {{"sha256", c.held_out.sha256},
                      {"tokens", static_cast<int64_t>(c.held_out.document.size())}}}};
    const Json entry = forecast_entry(f);
    for (const auto& [key, value] : entry.items()) prediction[key] = value;
    prediction["far"] = far_prediction(c, ladder);
    prediction["runs_csv_sha256"] = runs_sha256(c.records);
    write_file(c.file("target.toml"), to_toml(config));
    write_json(c.file("prediction.json"), prediction);  // last: its presence says that all is there
  }
  record_prediction(c);
  const Json prediction = read_json(c.file("prediction.json"));
  c.say(
      fmt::format("predict loss {:.4f}, {:.0f} % interval {:.4f} .. {:.4f}; recorded before the "
                  "target's first step",
                  prediction.at("loss").get<double>(), 100.0 * prediction.at("level").get<double>(),
                  prediction.at("lo").get<double>(), prediction.at("hi").get<double>()));
  return prediction;
}

}  // namespace rung
