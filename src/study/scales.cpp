#include "study/scales.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <cmath>

#include "core/clock.h"
#include "core/error.h"
#include "study/probe.h"
#include "train/batch.h"

namespace rung {
namespace {

using at::Tensor;

// A tensor to take statistics of.
struct Seen {
  std::string tensor;
  int layer = -1;
  ScaleKind kind = ScaleKind::activation;
  Tensor values;
};

// Gradients of the coming step, and what its first sequences did to every tensor.
struct ScalesLook {
  std::vector<Taps> taps;  // by tensor
  StreamTaps stream;
  Tensor gradients;  // [1, n]
  double loss = 0.0;
};

ScalesLook look_at(const Population& p, const Decoder& d, const Ropes& ropes,
                   int64_t probe_tokens) {
  ScalesLook result{.taps = std::vector<Taps>(d.layout.tensors.size()),
                    .stream = {},
                    .gradients = at::zeros_like(p.weights)};
  const std::vector<Weight> plain = bind(d.layout, p.weights, result.gradients);
  std::vector<Weight> tapped = plain;
  for (size_t i = 0; i < tapped.size(); ++i) tapped[i].taps = &result.taps[i];
  const int64_t context = d.model.context, all = p.batch_sequences;
  const int64_t piece = std::clamp<int64_t>(probe_tokens / context, 1, all);
  const double mean = 1.0 / static_cast<double>(all * context);
  for (int64_t begin = 0; begin < all; begin += piece) {
    const Batch batch = coming_batch(p, 0, begin, std::min(piece, all - begin));
    const bool first = begin == 0;
    const Tensor loss = token_losses(d, first ? tapped : plain, batch.tokens.to(p.weights.device()),
                                     batch.targets.to(p.weights.device()), ropes, mean, nullptr,
                                     first ? &result.stream : nullptr)
                            .sum();
    loss.backward();
    result.loss += loss.item<double>() * mean;
  }
  if (p.mask.defined()) result.gradients.mul_(p.mask);
  return result;
}

class Collector {
 public:
  Collector(const Decoder& d, const Tensor& weights, const ScalesLook& look) {
    for (size_t i = 0; i < d.layout.tensors.size(); ++i) {
      const TensorSpec& spec = d.layout.tensors[i];
      for (size_t use = 0; use < look.taps[i].size(); ++use)
        pass(use_name(d, i, use, look.taps[i].size()), spec.layer, look.taps[i][use]);
      add(spec.name, spec.layer, ScaleKind::weight, view(d.layout, weights, i));
      add(spec.name, spec.layer, ScaleKind::weight_gradient, view(d.layout, look.gradients, i));
    }
    for (size_t i = 0; i < d.branches.size(); ++i) {
      const size_t layer = d.branches[i] / 2;
      stream(fmt::format("blocks.{}.{}.stream", layer, d.branches[i] % 2 ? "ffn" : "mixer"),
             static_cast<int>(layer), look.stream[i]);
    }
    stream("stream", -1, look.stream.back());
  }

  // `values` may be undefined: not every use has an input, and not every input a gradient.
  void add(std::string name, int layer, ScaleKind kind, const Tensor& values) {
    if (values.defined()) seen.push_back({std::move(name), layer, kind, values});
  }

  std::vector<Seen> seen;

 private:
  // A tied matrix is the table first and the readout then; further heads' readouts come before the
  // path's own.
  static std::string use_name(const Decoder& d, size_t i, size_t use, size_t uses) {
    const std::string& name = d.layout.tensors[i].name;
    if (d.model.tied && i == d.readout) {
      if (use == 0) return name;
      return use + 1 == uses ? "readout" : fmt::format("readout.head{}", use + 1);
    }
    return use + 1 == uses ? name : fmt::format("{}.head{}", name, use + 2);
  }

  void pass(const std::string& name, int layer, const Tap& tap) {
    add(name + ".input", layer, ScaleKind::activation, tap.input);
    add(name + ".output", layer, ScaleKind::activation, tap.output);
    add(name + ".input", layer, ScaleKind::gradient, tap.input_gradient);
    add(name + ".output", layer, ScaleKind::gradient, tap.output_gradient);
  }

  void stream(const std::string& name, int layer, const Tap& tap) {
    add(name, layer, ScaleKind::activation, tap.output);
    add(name, layer, ScaleKind::gradient, tap.output_gradient);
  }
};

void add_scores(Collector& all, const Population& p, const Decoder& d, const Ropes& ropes,
                const ScalesLook& look) {
  const at::NoGradGuard off;
  const std::vector<Weight> bound = bind(d.layout, p.weights, {});
  for (size_t layer = 0; layer < d.mixers.size(); ++layer)
    if (d.mixers[layer]->name == "attention")
      all.add(
          fmt::format("blocks.{}.mixer.scores", layer), static_cast<int>(layer),
          ScaleKind::activation,
          visible_scores(d, std::span(bound).subspan(d.mixer_start[layer]),
                         look.taps[d.mixer_start[layer]].front().output, rope_of(d, ropes, layer)));
}

std::vector<double> to_doubles(const Tensor& t) {
  const Tensor flat = t.detach().to(at::kCPU, at::kDouble).contiguous();
  return {flat.const_data_ptr<double>(), flat.const_data_ptr<double>() + flat.numel()};
}

void append_rows(ScalesResult& result, const Population& p, const ScalesPlan& plan,
                 const Machine& machine) {
  Decoder d = p.decoder;
  d.block = p.states.front().block;
  const Ropes ropes = make_ropes(d.model, d.model.context, p.weights.options());
  const ScalesLook now = look_at(p, d, ropes, plan.probe_tokens);
  Collector all(d, p.weights, now);
  add_scores(all, p, d, ropes, now);
  std::vector<ScaleRow> rows(all.seen.size());
  machine.pool->run(static_cast<int64_t>(rows.size()), [&](int64_t i) {
    const Seen& seen = all.seen[static_cast<size_t>(i)];
    rows[static_cast<size_t>(i)] = {p.step, seen.tensor, seen.layer, seen.kind,
                                    tensor_statistics(to_doubles(seen.values))};
  });
  result.rows.insert(result.rows.end(), rows.begin(), rows.end());
  result.steps.push_back(p.step);
  result.losses.push_back(now.loss);
}

std::vector<int64_t> checked_steps(const ScalesPlan& plan, const RunConfig& config) {
  std::vector<int64_t> steps = plan.steps;
  std::sort(steps.begin(), steps.end());
  steps.erase(std::unique(steps.begin(), steps.end()), steps.end());
  if (steps.empty() || steps.front() < 0)
    fail_usage("[scales] Steps are whole numbers from 0. Received {}.",
               steps.empty() ? "none" : fmt::format("{}", steps.front()));
  const int64_t length = config.train.tokens / config.train.batch_tokens;
  if (steps.back() > length)
    fail_usage(
        "[scales] The run has {} steps (train.tokens over train.batch_tokens). Received step {}{}. "
        "Give --steps up to {}, or set train.tokens={}.",
        length, steps.back(), plan.by_default ? ", the last of --steps as it is by default" : "",
        length, steps.back() * config.train.batch_tokens);
  return steps;
}

}  // namespace

ScalesResult record_scales(const RunConfig& config, const ScalesPlan& plan,
                           std::shared_ptr<const TokenSource> source, const Machine& machine,
                           const RunHooks& hooks) {
  const std::vector<int64_t> steps = checked_steps(plan, config);
  Population p({config}, std::move(source), machine);
  ScalesResult result;
  const auto begin = Clock::now();
  const auto batch = static_cast<double>(config.train.batch_tokens);
  Progress progress{.label = "scales", .total = batch * static_cast<double>(steps.back())};
  for (const int64_t step : steps) {
    while (p.step < step) {
      p.advance();
      progress.done = batch * static_cast<double>(p.step);
      progress.seconds = seconds_since(begin);
      if (hooks.progress) hooks.progress(progress);
      if (hooks.interrupted && hooks.interrupted()) {
        result.interrupted = true;
        return result;
      }
    }
    p.sync();
    if (p.all_diverged()) {
      result.diverged = true;
      return result;
    }
    append_rows(result, p, plan, machine);
  }
  return result;
}

}  // namespace rung
