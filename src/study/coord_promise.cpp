// What a parametrisation promises of one slope. Exponents of an RMS value, over width (a) and
// depth:
// - activation: 0. Logits and attention's q.k start as the rule says, and routers as logits; while
//   training aligns what was independent, q.k may gain m^1/2, and logits that start lower may rise
//   to 0.
// - change: 0, the full-alignment rule itself; block_step over depth. SGD's is the gradient's,
//   which falls up to m^1/2 short of the rule where the backward pass is not aligned; an orthogonal
//   update of full rank has m^1/2 more elements' worth of RMS than of effect.
// - step: that of Adam's change times alignment, fan_in^-1/2 (none) to 1 (full); tables have no
//   alignment: what the rule says of embeddings.
// - update: -1/2 to 0, sums of steps, aligned or not; q.k as its activation.
// - decay: 0, every weight forgets its start at one rate; hidden matrices -1 over width under
//   decay_rule=width.
// - alignment: measured alone.
// Sources: Everett et al. 2024 (arXiv 2407.05872) for alignment between 1/2 and 1; Yang et al.
// 2022 (arXiv 2203.03466) for activations, q.k and updates.
#include <algorithm>

#include "model/decoder.h"
#include "study/coord.h"

namespace rung {
namespace {

// Between no and full alignment of a sum over m terms.
constexpr double alignment_gain = 0.5;

bool in_block(const std::string& tensor) {
  return tensor.starts_with("mixer.") || tensor.starts_with("ffn.");
}

bool is_table(const std::string& tensor) {
  return tensor == "embedding" || tensor == "positions";
}

// Readouts inside blocks.
bool is_router(const RunConfig& config, const std::string& tensor) {
  if (!in_block(tensor)) return false;
  const Decoder decoder = make_decoder(config, 2);
  return std::any_of(decoder.layout.tensors.begin(), decoder.layout.tensors.end(),
                     [&](const TensorSpec& spec) {
                       return spec.role == Role::router && spec.name.ends_with("." + tensor);
                     });
}

ExponentRange exactly(double exponent) {
  return {exponent, exponent};
}

// Down to no alignment.
ExponentRange at_most(double exponent) {
  return {exponent - alignment_gain, exponent};
}

ExponentRange activation_over_width(const Promise& p, const RunConfig& config,
                                    const CoordSlope& slope) {
  const bool start = slope.horizon == 0;
  if (slope.tensor == "attention") return {p.scores, p.scores + (start ? 0.0 : alignment_gain)};
  const bool readout = slope.tensor == "readout";
  if (!readout && !is_router(config, slope.tensor)) return {};
  // A tied matrix is aligned with its own tokens' embeddings from the start.
  const double hi = p.logits.hi + (readout && config.model.tied ? alignment_gain : 0.0);
  return {p.logits.lo, start ? hi : std::max(hi, 0.0)};
}

// The exponent over width of what one tensor's own change is promised to add, at full alignment. A
// tied matrix moves as an embedding does in its readout use too.
double own_over_width(const Promise& p, const RunConfig& config, const std::string& tensor) {
  const bool moves_as_table = is_table(tensor) || (tensor == "readout" && config.model.tied);
  return moves_as_table ? p.embedding_step : 0.0;
}

ExponentRange change_around(double exponent, const RunConfig& config, const CoordSlope& slope) {
  const Update update = update_of(config.train.optimizer);
  if (update == Update::sgd) return at_most(exponent);
  if (update == Update::matrix && in_block(slope.tensor) && slope.axis == "width")
    return {exponent, exponent + alignment_gain};
  return exactly(exponent);
}

ExponentRange promised_range(const Promise& p, const RunConfig& config, const CoordSlope& slope) {
  const bool width = slope.axis == "width";
  const double own = width                    ? own_over_width(p, config, slope.tensor)
                     : in_block(slope.tensor) ? p.block_step
                                              : 0.0;
  switch (slope.quantity) {
    case Quantity::activation:
      return width ? activation_over_width(p, config, slope) : ExponentRange{};
    case Quantity::change:
      return change_around(own, config, slope);
    case Quantity::step:
      return is_table(slope.tensor) ? change_around(own, config, slope) : at_most(own);
    case Quantity::update:
      if (width && slope.tensor == "attention") return {p.scores, p.scores + alignment_gain};
      if (width && is_table(slope.tensor)) {
        // With decay an update is also what is lost of the start, at one rate for all widths.
        const bool decays = config.train.weight_decay > 0.0;
        const ExponentRange step = change_around(own, config, slope);
        return decays ? ExponentRange{std::min(step.lo, 0.0), std::max(step.hi, 0.0)} : step;
      }
      return at_most(0.0);
    case Quantity::decay:
      return exactly(width && in_block(slope.tensor) && config.train.decay_rule == "width" ? -1.0
                                                                                           : 0.0);
    case Quantity::alignment:
      break;
  }
  return {};
}

}  // namespace

std::optional<ExponentRange> promised(const Promise& promise, const RunConfig& config,
                                      const CoordSlope& slope) {
  if (slope.quantity == Quantity::alignment) return {};
  if (!(slope.axis == "width" ? promise.width : promise.depth)) return {};
  return promised_range(promise, config, slope);
}

}  // namespace rung
