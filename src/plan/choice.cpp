#include "plan/choice.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "plan/search.h"

namespace rung {
namespace {

constexpr size_t most_resamples = 200;  // that vote on the choice
constexpr double many_bits = 16.0;

// The largest value of an input in the fit's data, by the law's name for it.
double largest(const Fit& fit, std::string_view input, double otherwise) {
  for (size_t i = 0; i < fit.inputs.size(); ++i)
    if (fit.law->inputs[i] == input)
      if (const auto range = fit.ranges.find(fit.inputs[i]); range != fit.ranges.end())
        return range->second.max;
  return otherwise;
}

std::vector<double> doublings(double most) {
  std::vector<double> values;
  for (double value = 1.0; value <= most * (1.0 + 1e-9); value *= 2.0) values.push_back(value);
  return values;
}

struct Axes {
  std::vector<double> bits{0.0}, experts{0.0}, granularity{0.0};
  bool trained = false;   // the bits are those of training
  bool accuracy = false;  // a k-bit fit decides
  std::string source{};
  bool any() const { return bits.size() + experts.size() + granularity.size() > 3; }
};

Axes make_axes(const Knowledge& knowledge, const PlanOptions& options) {
  Axes axes;
  const Fit& fit = *knowledge.loss.fit;
  const auto open = [&](const char* name) {
    return reads(fit, name) && !options.other.contains(name);
  };
  const auto add_source = [&](const Known& known) {
    if (axes.source.find(known.name()) == std::string::npos)
      axes.source += (axes.source.empty() ? "" : ", ") + known.name();
  };
  if (open("P_w") || open("P_a") || open("P_kv")) {
    axes.bits.clear();
    for (double p = 2.0; p <= many_bits; p += 1.0) axes.bits.push_back(p);
    axes.trained = true;
    add_source(knowledge.loss);
  } else if (knowledge.ptq || knowledge.k_bit) {
    axes.bits = {2, 3, 4, 5, 6, 8, 16};
    axes.accuracy = knowledge.k_bit && !knowledge.ptq;
    add_source(knowledge.ptq ? knowledge.ptq : knowledge.k_bit);
  }
  const Known experts = open("E") ? knowledge.loss : knowledge.routing;
  if (options.experts > 0.0)
    axes.experts = {options.experts};
  else if (experts)
    axes.experts = doublings(largest(*experts.fit, "E", 64.0));
  if (experts) add_source(experts);
  if (open("G")) {
    axes.granularity = doublings(largest(fit, "G", 16.0));
    add_source(knowledge.loss);
  }
  return axes;
}

double accuracy_at(const Knowledge& knowledge, int sample, double n, double bits) {
  const Fit& fit = *knowledge.k_bit.fit;
  const double at[] = {n, bits};
  const size_t count = fit.samples.size();
  return sample < 0 || count == 0
             ? evaluate_law(*fit.law, fit.values(), at)
             : evaluate_law(*fit.law, fit.samples[static_cast<size_t>(sample) % count], at);
}

struct Entry {
  Alternative choice;
  Path path;
  Surface surface;
  double lo = 0.0, hi = 0.0;  // ln N that is searched: the path's, or a given size
};

// Lower is better: the loss at the best size, or the negative accuracy there.
double score(const Knowledge& knowledge, const Axes& axes, const Entry& entry, int sample,
             double* log_n = nullptr) {
  const bool rough = sample >= 0;
  const auto loss = [&](double at) {
    return entry.surface(sample, std::exp(at), entry.path.tokens(at));
  };
  const double at = lowest_point(entry.lo, entry.hi, loss, rough ? 32 : 96, rough ? 1e-5 : 1e-9);
  if (log_n) *log_n = at;
  return axes.accuracy ? -accuracy_at(knowledge, sample, std::exp(at), entry.choice.bits)
                       : loss(at);
}

// Shares of the resamples in which each entry is the best.
void count_votes(const Knowledge& knowledge, const Axes& axes, std::vector<Entry>& entries,
                 std::vector<Alternative*> rows) {
  const size_t count = std::min(most_resamples, entries.front().surface.samples());
  for (size_t s = 0; s < count; ++s) {
    size_t winner = 0;
    double least = unbounded;
    for (size_t i = 0; i < entries.size(); ++i) {
      const double value = score(knowledge, axes, entries[i], static_cast<int>(s));
      if (value < least) least = value, winner = i;
    }
    rows[winner]->support += 1.0 / static_cast<double>(count);
  }
  if (count == 0)
    for (Alternative* row : rows) row->support = std::nan("");
}

void remark_on_bits(const PlanOptions& options, const Axes& axes, Decision& decision) {
  if (axes.bits.size() < 2 || decision.choice.bits < many_bits || decision.path.hi_limit != "")
    return;
  if (options.bit_flops && axes.trained) return;
  decision.remarks.push_back(
      "Fewer bits save nothing under this budget, so the most win. Give --inference-memory or "
      "--latency, or --bit-flops where training costs in proportion to its bits.");
}

// Experts cost memory and little else.
void remark_on_experts(const PlanOptions& options, const Axes& axes, Decision& decision) {
  const bool limited = std::isfinite(options.memory) || std::isfinite(options.inference_memory);
  if (limited || axes.experts.size() < 2 || decision.choice.experts < axes.experts.back()) return;
  decision.remarks.push_back(
      "Nothing limits the parameters stored, so the most experts of the data win. Give --memory or "
      "--inference-memory.");
}

// Training FLOPs a token of the routers: 6 width outputs in each of N/(k width^2) blocks, so
// 6 outputs N/(k width), with the width that the rule prefers (a table in ln N, as it is searched).
std::function<double(double)> routing_costs(const ShapeRule& rule, const ShapeOptions& shape,
                                            double outputs) {
  constexpr double first = 4.0, last = 34.0;  // ln N
  constexpr int points = 61;
  const double k = block_factor(shape);
  std::vector<double> widths;
  for (int i = 0; i < points; ++i) {
    const double n = std::exp(first + (last - first) * i / (points - 1));
    widths.push_back(std::log(rule.aspect(n, shape) * n / k) / 3.0);  // width^3 = aspect N/k
  }
  return [widths, outputs, k](double n) {
    const double at =
        std::clamp((std::log(n) - first) / (last - first), 0.0, 1.0 - 1e-12) * (points - 1);
    const auto below = static_cast<size_t>(at);
    const double share = at - static_cast<double>(below);
    const double width = std::exp((1.0 - share) * widths[below] + share * widths[below + 1]);
    return 6.0 * outputs * n / (k * width);
  };
}

}  // namespace

Path path_of(const Knowledge& knowledge, const PlanOptions& options, const ShapeRule& rule,
             const Alternative& choice) {
  const double bits = choice.bits > 0.0 ? choice.bits : options.inference_bits;
  Path path = make_path(options, choice, bits, reads(*knowledge.loss.fit, "D_unique"));
  if (choice.experts > 1.0) {
    path.routing =
        routing_costs(rule, options.shape, choice.experts * std::max(1.0, choice.granularity));
    while (path.hi > path.lo && path.tokens(path.hi) < 1.0) path.hi -= 0.05;
  }
  return path;
}

namespace {

// Every alternative that the limits allow, with its position in decision.alternatives.
std::vector<Entry> make_entries(const Knowledge& knowledge, const PlanOptions& options,
                                const ShapeRule& rule, const Axes& axes, Decision& decision,
                                std::vector<size_t>& positions) {
  std::vector<Entry> entries;
  for (const double bits : axes.bits)
    for (const double experts : axes.experts)
      for (const double granularity : axes.granularity) {
        Alternative choice{.bits = bits, .experts = experts, .granularity = granularity};
        choice.accuracy = std::nan("");
        Path path = path_of(knowledge, options, rule, choice);
        const double size = std::log(given_size(options, choice));  // -inf: not given
        const bool alone = axes.bits.size() * axes.experts.size() * axes.granularity.size() == 1;
        choice.possible = path.hi > 0.0 && (size <= path.hi || alone);
        decision.alternatives.push_back(choice);
        if (!choice.possible) continue;
        const double lo = std::isfinite(size) ? size : path.lo;
        const double hi = std::isfinite(size) ? size : path.hi;
        entries.push_back({choice, std::move(path), Surface(knowledge, options, choice), lo, hi});
        positions.push_back(decision.alternatives.size() - 1);
      }
  return entries;
}

void remark_on_choice(const Knowledge& knowledge, const PlanOptions& options, const Axes& axes,
                      Decision& decision) {
  remark_on_bits(options, axes, decision);
  remark_on_experts(options, axes, decision);
  if (axes.granularity.size() > 1 && !(options.experts > 0.0))
    decision.remarks.push_back(
        "Granularity is taken to cost no routing, so the finest wins: give --experts.");
  if (options.experts > 1.0 && !knowledge.routing && !reads(*knowledge.loss.fit, "E") &&
      !reads(*knowledge.loss.fit, "G"))
    decision.remarks.push_back(
        "No fit given knows what experts are worth: the loss is that of a dense model.");
}

}  // namespace

std::optional<ModelShape> given_shape(const PlanOptions& options, const Alternative& choice) {
  if (options.width == 0) return {};
  ShapeOptions shape = options.shape;
  choose_experts(choice.experts, choice.granularity, shape);
  return make_shape(options.width, options.depth, shape);
}

double given_size(const PlanOptions& options, const Alternative& choice) {
  const std::optional<ModelShape> shape = given_shape(options, choice);
  return shape ? shape->N : options.size;
}

Decision decide(const Knowledge& knowledge, const PlanOptions& options, const ShapeRule& rule) {
  const Axes axes = make_axes(knowledge, options);
  Decision decision;
  std::vector<size_t> positions;
  std::vector<Entry> entries = make_entries(knowledge, options, rule, axes, decision, positions);
  if (entries.empty()) {
    const Path path = path_of(knowledge, options, rule, decision.alternatives.front());
    if (!path.hi_limit.empty())
      fail_usage("[plan] The limit {} leaves less than one parameter. Check its unit.",
                 path.hi_limit);
    fail_usage("[plan] The budget leaves less than one parameter. Received {:.4g} FLOPs.",
               std::min(options.flops, options.seconds * std::max(options.rate, 1.0)));
  }
  size_t winner = 0;
  double least = unbounded;
  std::vector<Alternative*> rows;
  for (size_t i = 0; i < entries.size(); ++i) {
    double log_n = 0.0;
    const double value = score(knowledge, axes, entries[i], Surface::best, &log_n);
    if (value < least) least = value, winner = i;
    Alternative& row = decision.alternatives[positions[i]];
    row.N = std::exp(log_n);
    row.N_total = stored_parameters(row.N, row.experts, options.shape);
    row.D = entries[i].path.tokens(log_n);
    row.loss = entries[i].surface(Surface::best, row.N, row.D);
    if (axes.accuracy) row.accuracy = -value;
    rows.push_back(&row);
  }
  if (axes.any()) decision.source = axes.source;
  if (axes.any() && entries.size() > 1) count_votes(knowledge, axes, entries, rows);
  decision.choice = *rows[winner];
  decision.path = entries[winner].path;
  remark_on_choice(knowledge, options, axes, decision);
  if (!axes.any()) decision.alternatives.clear();
  return decision;
}

}  // namespace rung
