#include <algorithm>
#include <cmath>

#include "core/files.h"
#include "law/fit_json.h"
#include "study/forecast.h"
#include "study/prediction_file.h"

namespace rung {

Json forecast_json(const Forecast& f, std::span<const RunRecord> ladder,
                   const std::vector<PathPoint>& path) {
  Json json = fit_to_json(f.fits[f.best]);
  json.erase("seconds");  // equal climbs write equal files
  json["candidates"] = f.candidates;
  json["seed_sd"] = f.seed_sd;
  Json curve = Json::array(), residuals = Json::array();
  for (const PathPoint& p : path) {
    const Prediction at =
        predict_mixture(f.fits, f.weights, point_of(p), f.prediction.level, f.extra_sd());
    curve.push_back({{"C", p.C}, {"loss", at.loss}, {"lo", at.lo}, {"hi", at.hi}});
  }
  const int dropped = f.candidates[f.best]["dropped"].get<int>();
  std::vector<int64_t> sizes;
  for (const RunRecord& r : ladder) sizes.push_back(r.N);
  std::sort(sizes.begin(), sizes.end());
  sizes.erase(std::unique(sizes.begin(), sizes.end()), sizes.end());
  for (const RunRecord& r : ladder) {
    const Point at{{"N", static_cast<double>(r.N)}, {"D", static_cast<double>(r.D)}, {"C", r.C}};
    residuals.push_back({{"run", r.run},
                         {"C", r.C},
                         {"L", r.L},
                         {"fitted", predict_loss(f.fits[f.best], at)},
                         {"used", r.N >= sizes[static_cast<size_t>(dropped)]}});
  }
  json["curve"] = curve;
  json["residuals"] = residuals;
  return json;
}

void judge(Json& record, double measured) {
  const Json& predicted = record.at("predicted");
  const double loss = predicted.at("loss").get<double>();
  const bool inside =
      measured >= predicted.at("lo").get<double>() && measured <= predicted.at("hi").get<double>();
  record["relative_error"] = (loss - measured) / measured;
  record["inside"] = inside;
}

Json forecast_again(const std::filesystem::path& folder, const ForecastOptions& options,
                    double ahead) {
  const Json recorded = read_prediction(folder).at("target");
  const PathPoint target{.width = recorded.at("width").get<int64_t>(),
                         .N = recorded.at("N").get<int64_t>(),
                         .tokens = recorded.at("D").get<int64_t>(),
                         .C = recorded.at("C").get<double>()};
  std::vector<RunRecord> ladder;
  double largest = 0.0, measured = NAN;
  for (const RunRecord& r : read_runs(folder / "runs.csv")) {
    if (r.kind == "target") measured = r.L;
    if (r.kind != "ladder" || !std::isfinite(r.L) || r.C * ahead > target.C) continue;
    ladder.push_back(r);
    largest = std::max(largest, r.C);
  }
  const Forecast f = forecast(ladder, target, options);
  Json json{{"status", "done"},
            {"without", left_out(options.measures)},
            {"predicted",
             {{"loss", f.prediction.loss}, {"lo", f.prediction.lo}, {"hi", f.prediction.hi}}},
            {"candidates", f.candidates},
            {"sources", f.sources},
            {"extrapolation_flops", target.C / largest}};
  if (!std::isfinite(measured)) return json;
  json["measured"] = {{"loss", measured}};
  judge(json, measured);
  return json;
}

}  // namespace rung
