#include "model/decoder.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "config/pattern.h"
#include "core/error.h"
#include "model/channels.h"
#include "model/check_model.h"
#include "model/formats.h"

namespace rung {

BlockFactors block_factors(const RunConfig& config, int64_t vocabulary) {
  BlockFactors factors =
      find_parametrisation(config.parametrisation).block(config, dims_of(config, vocabulary));
  // A further head stands where the last block of the path does.
  const auto last = static_cast<size_t>(2 * path_depth(config.model));
  while (factors.residual.size() < static_cast<size_t>(2 * config.model.depth))
    for (const size_t b : {last - 2, last - 1})
      factors.residual.push_back(ResidualFactor(factors.residual[b]));
  const std::vector<std::string> names = mixers_by_layer(config.model);
  for (size_t layer = 0; layer < names.size(); ++layer)
    if (!find_part(mixers(), "mixer", names[layer]).skip) factors.residual[2 * layer] = {0.0, 1.0};
  return factors;
}

namespace {

// A decoder as its tensors are listed, in the order of the arena.
struct Builder {
  const RunConfig& config;
  Decoder d;
  std::vector<Frozen> frozen;
  FormatRule formats;
  std::vector<TensorSpec> tensors = {};

  const ModelConfig& model() const { return config.model; }

  void norm(std::vector<NormTensors>& norms, const std::string& name, int layer,
            bool there = true) {
    NormTensors norm{.there = there};
    const auto vector = [&](Role role, const std::string& full) {
      tensors.push_back(vector_of(role, full, model().width));
      tensors.back().layer = layer;
      return tensors.size() - 1;
    };
    if (there && model().norm_gain) norm.gain = vector(Role::gain, name);
    if (there && model().norm_bias) norm.bias = vector(Role::bias, name + "_bias");
    norms.push_back(norm);
  }

  void part(const Part& part, const std::string& prefix, int layer, bool frozen) {
    for (TensorSpec& spec : part.describe(model())) {
      const std::string name = spec.name;
      spec.name = prefix + name;
      spec.layer = layer;
      spec.frozen = frozen;
      formats.apply(spec, name);
      if (spec.role == Role::hidden) {
        spec.density = model().density;
        spec.active *= model().density;
        spec.ternary = model().linear != "dense";
        spec.ternary_norm = model().linear == "bitnet";
      }
      tensors.push_back(std::move(spec));
    }
  }

  void table(const std::string& name, Role role, int64_t rows) {
    tensors.push_back({.name = name,
                       .role = role,
                       .shape = {rows, model().width},
                       .fan_in = 1,
                       .fan_out = model().width,
                       .counts_in_N = role == Role::tied});
  }

  void embeddings() {
    table("embedding", model().tied ? Role::tied : Role::embedding, d.vocabulary);
    if (model().position != "learned") return;
    d.positions = tensors.size();
    table("positions", Role::embedding, model().context);
  }

  void block(int layer, const std::string& mixer, const std::string& ffn) {
    const std::string prefix = fmt::format("blocks.{}.", layer);
    const auto at = static_cast<size_t>(layer);
    const bool both = model().norm_place == "both", bare = model().norm_place == "none";
    d.mixers.push_back(&checked_part(mixers(), "mixer", mixer, config));
    d.ffns.push_back(&checked_part(ffns(), "ffn", ffn, config));
    d.branches.push_back(2 * at);
    norm(d.norms, prefix + "mixer_norm", layer, !bare || layer == 0);
    d.mixer_start.push_back(tensors.size());
    part(*d.mixers.back(), prefix + "mixer.", layer, frozen[at].mixer);
    if (both) norm(d.post_norms, prefix + "mixer_post_norm", layer);
    d.ffn_start.push_back(tensors.size());
    d.ffn_gain.push_back(0);
    if (ffn == no_ffn) return;
    d.branches.push_back(2 * at + 1);
    norm(d.norms, prefix + "ffn_norm", layer, !bare && !model().parallel);
    if (model().ffn_gain > 0.0) {
      d.ffn_gain.back() = tensors.size();
      const double start = model().ffn_gain;
      tensors.push_back(per_channel(
          prefix + "ffn_gain", {1}, 1,
          [start](const TensorSpec&, int64_t, Random&) { return start; }, false));
      tensors.back().layer = layer;
    }
    d.ffn_start.back() = tensors.size();
    part(*d.ffns.back(), prefix + "ffn.", layer, frozen[at].ffn);
    if (both) norm(d.post_norms, prefix + "ffn_post_norm", layer);
  }

  // Which branches are the heads'.
  void heads() {
    const auto first = static_cast<size_t>(path_depth(model()) - 1);
    std::vector<size_t> starts;  // of the heads' blocks
    for (size_t i = 0; i < d.branches.size(); ++i)
      if (d.branches[i] % 2 == 0 && d.branches[i] / 2 >= first) starts.push_back(i);
    starts.push_back(d.branches.size());
    d.fork = starts[0];
    d.path = {0, starts[1]};
    for (size_t k = 1; k + 1 < starts.size(); ++k) d.heads.push_back({starts[k], starts[k + 1]});
  }

  // What the layers of one mixer have in common, once.
  void shared() {
    std::map<const Part*, size_t> starts;
    for (const Part* mixer : d.mixers) {
      if (mixer->describe_shared && !starts.contains(mixer)) {
        starts[mixer] = tensors.size();
        for (TensorSpec& spec : mixer->describe_shared(model())) {
          spec.name = fmt::format("shared.{}.{}", mixer->name, spec.name);
          spec.layer = 0;
          tensors.push_back(std::move(spec));
        }
      }
      d.shared_start.push_back(mixer->describe_shared ? starts[mixer] : 0);
    }
  }

  void readout() {
    if (model().tied) return;
    d.readout = tensors.size();
    tensors.push_back({.name = "readout",
                       .role = Role::readout,
                       .shape = {d.vocabulary, model().width},
                       .fan_in = model().width,
                       .fan_out = d.vocabulary});
  }
};

}  // namespace

Decoder make_decoder(const RunConfig& config, int64_t vocabulary) {
  const ModelConfig& model = config.model;
  check_model(config, vocabulary);
  // One by one: g++ 12 destroys members twice where a later one's initialiser throws.
  BlockFactors block = block_factors(config, vocabulary);
  std::vector<Frozen> frozen = frozen_by_layer(model);
  FormatRule formats(config);
  Builder builder{.config = config,
                  .d = {.model = model,
                        .vocabulary = vocabulary,
                        .layout = {},
                        .block = std::move(block),
                        .recompute = config.train.recompute},
                  .frozen = std::move(frozen),
                  .formats = std::move(formats)};
  Decoder& d = builder.d;
  check_blocks(config, d.block);
  d.windows = windows_by_layer(model);
  const std::vector<std::string> mixer_names = mixers_by_layer(model),
                                 ffn_names = ffns_by_layer(model);
  builder.embeddings();
  for (size_t layer = 0; layer < mixer_names.size(); ++layer)
    builder.block(static_cast<int>(layer), mixer_names[layer], ffn_names[layer]);
  builder.formats.check_names();
  builder.shared();
  builder.heads();
  builder.norm(d.norms, "final_norm", -1);
  builder.readout();
  d.layout = make_layout(std::move(builder.tensors), find_parametrisation(config.parametrisation),
                         dims_of(config, vocabulary), config.alignment);
  return std::move(builder.d);
}

double forward_flops(const Decoder& d, int64_t time) {
  double matrices = 0.0, extra = 0.0;
  for (const TensorSpec& spec : d.layout.tensors)
    if (spec.shape.size() == 2 && spec.counts_in_N)
      matrices += static_cast<double>(spec.size()) * spec.active;
  for (size_t layer = 0; layer < d.mixers.size(); ++layer) {
    ModelConfig own = d.model;
    own.window = d.windows[layer];
    extra += d.mixers[layer]->extra_flops(own, time) + d.ffns[layer]->extra_flops(own, time);
  }
  const double readout = static_cast<double>(d.layout.tensors[d.readout].size());
  for (size_t k = 1; k <= d.heads.size(); ++k)
    extra +=
        2.0 * readout * static_cast<double>(std::max<int64_t>(0, time - static_cast<int64_t>(k)));
  return 2.0 * std::round(matrices) * static_cast<double>(time) + extra;
}

double training_flops(const Decoder& d, int64_t time) {
  double frozen = 0.0;
  for (const TensorSpec& spec : d.layout.tensors)
    if (spec.frozen && spec.shape.size() == 2)
      frozen += static_cast<double>(spec.size()) * spec.active;
  return 3.0 * forward_flops(d, time) - 2.0 * std::round(frozen) * static_cast<double>(time);
}

bool is_recurrent(const Decoder& d) {
  return !d.positions && std::all_of(d.mixers.begin(), d.mixers.end(),
                                     [](const Part* part) { return part->recurrent; });
}

}  // namespace rung
