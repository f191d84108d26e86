#include "study/coord_probe.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/matmul.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "config/pattern.h"
#include "core/error.h"
#include "ops/linear.h"
#include "study/probe.h"

namespace rung {
namespace {

using at::Tensor;

// One forward pass over the probe: what tensors read and wrote.
struct Look {
  std::vector<Taps> taps;  // by tensor; a tied matrix as the table
  Taps readout;
  Tensor stream;
  std::vector<Tensor> scores;  // [P, B, heads, pairs] of every layer with attention
};

// The first windows of the held-out text, the same for all members: [P, B, T].
Tensor probe_windows(const TokenSource& source, int64_t context, int64_t tokens, int64_t members) {
  const HeldOut held = source.held_out(context, std::max(tokens, context));
  if (held.windows() < 1) fail("[coord] There is no held-out window to look at.");
  const int64_t count = std::max<int64_t>(1, std::min(held.windows(), tokens / context));
  Tensor windows = at::empty({1, count, context}, at::kLong);
  for (int64_t i = 0; i < count; ++i)
    std::copy_n(held.tokens.begin() + i * (context + 1), context,
                windows.mutable_data_ptr<int64_t>() + i * context);
  return windows.expand({members, count, context}).contiguous();
}

Look look(const Population& p, const Tensor& windows, const Ropes& ropes) {
  const at::NoGradGuard off;
  Decoder d = p.decoder;
  d.block = p.states.front().block;
  Look result;
  result.taps.resize(d.layout.tensors.size());
  std::vector<Weight> bound = bind(d.layout, p.weights, Tensor());
  Weight readout = bound[d.readout];
  readout.A *= d.block.loss_logit;
  readout.taps = &result.readout;
  for (size_t i = 0; i < bound.size(); ++i) bound[i].taps = &result.taps[i];
  linear(hidden_states(d, bound, windows, ropes, nullptr, &result.stream), readout);
  // Further prediction heads are not looked at.
  for (size_t layer = 0; layer < static_cast<size_t>(path_depth(d.model)); ++layer)
    if (d.mixers[layer]->name == "attention")
      result.scores.push_back(visible_scores(d, std::span(bound).subspan(d.mixer_start[layer]),
                                             result.taps[d.mixer_start[layer]].front().output,
                                             rope_of(d, ropes, layer)));
  return result;
}

// Of each member: the sum over all elements of a b, in fp64.
std::vector<double> dots(const Tensor& a, const Tensor& b) {
  const Tensor sum =
      (a.to(at::kDouble) * b.to(at::kDouble)).flatten(1).sum(1).to(at::kCPU).contiguous();
  return {sum.const_data_ptr<double>(), sum.const_data_ptr<double>() + sum.numel()};
}

std::vector<double> mean_squares(const Tensor& t) {
  std::vector<double> sum = dots(t, t);
  for (double& value : sum) value /= static_cast<double>(t.numel() / t.size(0));
  return sum;
}

// Sums over the layers of one tensor kind.
struct Sums {
  int64_t layers = 0, fan_in = 0;
  std::array<std::vector<double>, quantities.size()> sum;
  std::vector<double> kept, start;  // <W, W0> and <W0, W0>
};

void add(std::vector<double>& sum, const std::vector<double>& values) {
  sum.resize(values.size(), 0.0);
  for (size_t i = 0; i < values.size(); ++i) sum[i] += values[i];
}

class ProbeComparison {
 public:
  ProbeComparison(const Population& p, const Look& start, const Tensor& start_weights,
                  const Look& now)
      : population_(p),
        start_(start),
        now_(now),
        first_(bind(p.decoder.layout, start_weights, {})),
        last_(bind(p.decoder.layout, p.weights, {})) {
    const at::NoGradGuard off;
    for (size_t i = 0; i < now.taps.size(); ++i) {
      if (now.taps[i].empty()) continue;  // gains, and tensors that no linear map reads
      const Tap& tap = now.taps[i].front();
      Sums& sums = outputs(kind_of(p.decoder.layout.tensors[i].name), tap.output,
                           start.taps[i].front().output);
      if (tap.input.defined())
        matrix(sums, i, tap, last_[i].A);
      else
        table(sums, i);
    }
    const size_t r = p.decoder.readout;
    matrix(outputs("readout", now.readout.front().output, start.readout.front().output), r,
           now.readout.front(), last_[r].A * p.states.front().block.loss_logit);
    outputs("stream", now.stream, start.stream);
    for (size_t layer = 0; layer < now.scores.size(); ++layer)
      outputs("attention", now.scores[layer], start.scores[layer]);
  }

  void append(int64_t horizon, std::vector<CoordSample>& samples) const {
    for (const auto& [tensor, sums] : kinds_)
      for (size_t m = 0; m < population_.states.size(); ++m) {
        const RunConfig& config = population_.states[m].config;
        CoordSample sample{.tensor = tensor,
                           .width = config.model.width,
                           .depth = config.model.depth,
                           .horizon = horizon,
                           .seed = config.seed,
                           .fan_in = sums.fan_in};
        for (const Quantity q : quantities)
          sample.value[static_cast<size_t>(q)] = value(sums, q, m, horizon);
        samples.push_back(std::move(sample));
      }
  }

 private:
  std::vector<double>& sum(Sums& sums, Quantity q) { return sums.sum[static_cast<size_t>(q)]; }

  Sums& outputs(const std::string& kind, const Tensor& now, const Tensor& start) {
    Sums& sums = kinds_[kind];
    ++sums.layers;
    add(sum(sums, Quantity::activation), mean_squares(now));
    if (population_.step > 0) add(sum(sums, Quantity::update), mean_squares(now - start));
    return sums;
  }

  // The share <W, W0> / <W0, W0> of the start that is left, [P, 1, 1]; without decay 1, whatever
  // updates do along W0.
  Tensor kept(Sums& sums, size_t i) {
    const Tensor& w0 = first_[i].value;
    Tensor share = at::full({w0.size(0), 1, 1}, 1.0, w0.options());
    if (!(population_.states.front().config.train.weight_decay > 0.0)) return share;
    const std::vector<double> left = dots(last_[i].value, w0), whole = dots(w0, w0);
    add(sums.kept, left);
    add(sums.start, whole);
    for (size_t m = 0; m < whole.size(); ++m)
      if (whole[m] > 0.0) share.select(0, static_cast<int64_t>(m)).fill_(left[m] / whole[m]);
    return share;
  }

  void matrix(Sums& sums, size_t i, const Tap& tap, double A) {
    if (population_.step == 0) return;
    const Tensor change = last_[i].value - first_[i].value * kept(sums, i);
    const int64_t members = change.size(0), in = change.size(2);
    const Tensor moved = at::matmul(tap.input.reshape({members, -1, in}), change.transpose(1, 2));
    const std::vector<double> y = mean_squares(moved), w = mean_squares(change),
                              x = mean_squares(tap.input);
    std::vector<double> step, align, reach;
    const double full = A * static_cast<double>(in);
    for (size_t m = 0; m < y.size(); ++m) {
      step.push_back(A * A * y[m]);
      reach.push_back(full * full * w[m]);
      align.push_back(0.5 * std::log(y[m] / (w[m] * x[m])));
    }
    sums.fan_in = in;
    add(sum(sums, Quantity::step), step);
    add(sum(sums, Quantity::change), reach);
    add(sum(sums, Quantity::alignment), align);
  }

  void table(Sums& sums, size_t i) {
    if (population_.step == 0) return;
    const Tensor share = kept(sums, i).unsqueeze(3);
    add(sum(sums, Quantity::step),
        mean_squares(now_.taps[i].front().output - start_.taps[i].front().output * share));
  }

  double value(const Sums& sums, Quantity q, size_t m, int64_t horizon) const {
    const std::vector<double>& total = sums.sum[static_cast<size_t>(q)];
    const double layers = static_cast<double>(sums.layers);
    if (q == Quantity::decay)
      return sums.start.empty()
                 ? NAN
                 : -std::log(sums.kept[m] / sums.start[m]) / static_cast<double>(horizon);
    if (total.empty()) return NAN;
    return q == Quantity::alignment ? std::exp(total[m] / layers) : std::sqrt(total[m] / layers);
  }

  const Population& population_;
  const Look &start_, &now_;
  std::vector<Weight> first_, last_;
  std::map<std::string, Sums> kinds_;
};

bool any_diverged(const Population& p) {
  return std::any_of(p.states.begin(), p.states.end(),
                     [](const MemberState& s) { return s.status == MemberStatus::diverged; });
}

}  // namespace

bool measure_shape(const std::vector<RunConfig>& members, const CoordPlan& plan,
                   std::shared_ptr<const TokenSource> source, const Machine& machine,
                   const std::function<void(Decoder&)>& alter, const std::function<bool()>& tick,
                   std::vector<CoordSample>& samples) {
  Population p(members, source, machine, alter);
  const int64_t context = p.decoder.model.context;
  const Tensor windows =
      probe_windows(*source, context, plan.probe_tokens, p.members()).to(p.weights.device());
  const Ropes ropes = make_ropes(p.decoder.model, context, p.weights.options());
  const Tensor weights = p.weights.clone();
  const Look start = look(p, windows, ropes);
  ProbeComparison(p, start, weights, start).append(0, samples);
  for (const int64_t horizon : plan.horizons) {
    while (p.step < horizon) {
      p.advance();
      if (!tick()) return true;
    }
    p.sync();
    if (any_diverged(p)) return false;
    const Look now = look(p, windows, ropes);
    ProbeComparison(p, start, weights, now).append(horizon, samples);
  }
  return true;
}

}  // namespace rung
