// coord.json: what `rung coord --json` prints and its page is drawn from.
#include "study/coord.h"

namespace rung {
namespace {

const char* verdict_name(Verdict verdict) {
  switch (verdict) {
    case Verdict::none:
      return "none";
    case Verdict::pass:
      return "pass";
    case Verdict::wide:
      return "wide";
    case Verdict::fail:
      return "fail";
  }
  return "";
}

Json slope_json(const CoordSlope& s) {
  Json json = {{"tensor", s.tensor},     {"quantity", quantity_name(s.quantity)},
               {"axis", s.axis},         {"horizon", s.horizon},
               {"slope", s.slope},       {"lo", json_number(s.lo)},
               {"hi", json_number(s.hi)}};
  json["promised"] = s.promised ? Json{{"lo", s.promised->lo}, {"hi", s.promised->hi}} : Json();
  json["verdict"] = verdict_name(s.verdict);
  return json;
}

std::string reason(const CoordSlope& s, double tolerance) {
  const std::string want = s.promised->lo == s.promised->hi
                               ? fmt::format("{:g}", s.promised->lo)
                               : fmt::format("{:g} to {:g}", s.promised->lo, s.promised->hi);
  return fmt::format("{} of {} at step {} goes as {}^{:.2f} [{:.2f}, {:.2f}], promised {} +- {:g}",
                     quantity_name(s.quantity), s.tensor, s.horizon, s.axis, s.slope, s.lo, s.hi,
                     want, tolerance);
}

}  // namespace

Json to_json(const CoordResult& result, const CoordPlan& plan) {
  Json slopes = Json::array(), samples = Json::array(), alignment = Json::array(),
       reasons = Json::array();
  for (const std::string& shape : result.diverged)
    if (result.promises()) reasons.push_back(shape + " diverged");
  for (const CoordSlope& s : result.slopes) {
    slopes.push_back(slope_json(s));
    if (s.verdict == Verdict::fail) reasons.push_back(reason(s, plan.tolerance));
  }
  for (const CoordAlignment& a : result.alignment)
    alignment.push_back({{"tensor", a.tensor},
                         {"horizon", a.horizon},
                         {"exponent", a.exponent},
                         {"lo", a.lo},
                         {"hi", a.hi}});
  for (const CoordSample& s : result.samples) {
    Json sample = {{"tensor", s.tensor}, {"width", s.width},     {"depth", s.depth},
                   {"seed", s.seed},     {"horizon", s.horizon}, {"fan_in", s.fan_in}};
    for (const Quantity q : quantities)
      sample[quantity_name(q)] = json_number(s.value[static_cast<size_t>(q)]);
    samples.push_back(std::move(sample));
  }
  // A failed check leaves with status 3, like a refusal.
  const char* status = !result.pass() ? "refused" : result.promises() ? "passed" : "reported";
  return {{"status", status},
          {"promises", {{"width", result.promise.width}, {"depth", result.promise.depth}}},
          {"reasons", reasons},
          {"tolerance", plan.tolerance},
          {"level", plan.level},
          {"judged",
           result.count(Verdict::pass) + result.count(Verdict::wide) + result.count(Verdict::fail)},
          {"failed", result.count(Verdict::fail)},
          {"wide", result.count(Verdict::wide)},
          {"diverged", result.diverged},
          {"slopes", slopes},
          {"alignment", alignment},
          {"samples", samples}};
}

}  // namespace rung
