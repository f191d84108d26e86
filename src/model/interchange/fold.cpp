#include "model/interchange/fold.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/ones.h>

#include <cmath>

#include "core/error.h"

namespace rung {
namespace {

using at::Tensor;

class Folder {
 public:
  Folder(const Decoder& d, const Tensor& row, const FoldTarget& target) : d_(d), target_(target) {
    for (size_t i = 0; i < d.layout.tensors.size(); ++i) {
      names_[d.layout.tensors[i].name] = i;
      result_[d.layout.tensors[i].name] = view(d.layout, row.unsqueeze(0), i).select(0, 0).clone();
    }
  }

  NamedTensors run() {
    embeddings();
    for (const size_t b : d_.branches) {
      const size_t layer = b / 2;
      const std::string prefix = fmt::format("blocks.{}.", layer);
      const Part& part = b % 2 == 0 ? *d_.mixers[layer] : *d_.ffns[layer];
      const Ends ends = close(b, prefix + (b % 2 == 0 ? "mixer" : "ffn"));
      if (part.name == "attention")
        attention(prefix, ends);
      else if (part.name == "mamba2")
        mamba2(prefix + "mixer.", ends);
      else if (part.name == "mlstm-large")
        mlstm_large(prefix + "mixer.", ends);
      else if (part.name == "moe")
        mixture(prefix + "ffn.", block_factor(layer), ends);
      else if (names_.contains(prefix + "ffn.down"))
        ffn(prefix + "ffn.", part.name, block_factor(layer).activation.forward, ends);
      else
        fail("[export] Multipliers of {} cannot be folded into its weights.", part.name);
    }
    gain("final_norm", tied_ratio());
    if (!d_.model.tied) scale("readout", A("readout") * d_.block.loss_logit);
    return std::move(result_);
  }

 private:
  double A(const std::string& name) const { return d_.layout.factors[names_.at(name)].A; }

  // Times a factor, in fp64; nothing where it is 1 up to rounding.
  static void multiply(Tensor values, double factor) {
    if (std::abs(factor - 1.0) < 1e-12) return;
    values.copy_(values.to(at::kDouble) * factor);
  }
  void scale(const std::string& name, double factor) {
    const auto found = result_.find(name);
    if (found != result_.end()) multiply(found->second, factor);
  }
  void scale_rows(const std::string& name, int64_t first, int64_t count, double factor) {
    const auto found = result_.find(name);
    if (found != result_.end()) multiply(found->second.narrow(0, first, count), factor);
  }
  // A norm's gain, made where there is none, and its bias.
  void gain(const std::string& name, double factor, int64_t size = 0) {
    if (!result_.contains(name))
      result_[name] = at::ones({size ? size : d_.model.width}, result_.at("embedding").options());
    scale(name, factor);
    const std::string bias = name + "_bias";
    if (result_.contains(bias)) scale(bias, A(bias) * factor);
  }

  void embeddings() {
    const double own = d_.model.tied ? 1.0 : A("embedding");
    embedding_ = own * d_.block.embedding / target_.embedding;
    scale("embedding", embedding_);
    if (d_.positions) scale("positions", A("positions"));
  }

  // Logits of a tied matrix come from the embedding as it is now.
  double tied_ratio() const {
    return d_.model.tied ? A("embedding") * d_.block.loss_logit / embedding_ : 1.0;
  }

  // What the branch's input and output are multiplied by.
  struct Ends {
    double in = 1.0, out = 1.0;
  };

  // Branch b adds branch / s to the stream over s, where s is the product of the skips up to it.
  // With norms behind branches these norms take it, and the branch reads the stream itself.
  Ends close(size_t b, const std::string& norms) {
    const ResidualFactor& r = d_.block.residual[b];
    const double before = stream_;
    stream_ *= r.skip;
    const double added = r.branch / stream_;
    const std::string& place = d_.model.norm_place;
    gain(norms + "_norm", place == "after" ? added : 1.0);
    if (place == "both") gain(norms + "_post_norm", added);
    return {place == "after" ? before : 1.0, place == "before" ? added : 1.0};
  }

  void attention(const std::string& prefix, Ends ends) {
    const ModelConfig& m = d_.model;
    const int64_t q = heads_of(m) * head_dim_of(m), kv = kv_heads_of(m) * head_dim_of(m);
    const double logit = d_.block.attention_logit / target_.attention_logit;
    const std::string mixer = prefix + "mixer.";
    scale(mixer + "qkv", A(mixer + "qkv") * ends.in);
    if (m.attention_bias != "none") scale(mixer + "qkv_bias", A(mixer + "qkv_bias"));
    if (m.qk_norm) {
      const bool whole = m.qk_norm_over == "width";
      gain(mixer + "q_norm", gain_factor(mixer + "q_norm") * logit, whole ? q : head_dim_of(m));
      gain(mixer + "k_norm", gain_factor(mixer + "k_norm"), whole ? kv : head_dim_of(m));
    } else {
      scale_rows(mixer + "qkv", 0, q, logit);
      scale_rows(mixer + "qkv_bias", 0, q, logit);
    }
    const double mixed = d_.block.attention_output.forward;
    if (m.sub_norm) {  // its epsilon sees the mixture's size
      for (const char* name : {"qkv", "qkv_bias"}) scale_rows(mixer + name, q + kv, kv, mixed);
      gain(mixer + "sub_norm", gain_factor(mixer + "sub_norm"), q);
    }
    scale(mixer + "out", A(mixer + "out") * (m.sub_norm ? 1.0 : mixed) * ends.out);
    if (m.attention_bias == "all") scale(mixer + "out_bias", A(mixer + "out_bias") * ends.out);
  }
  // A of a gain that need not be there.
  double gain_factor(const std::string& name) const {
    return names_.contains(name) ? A(name) : 1.0;
  }

  void mamba2(const std::string& prefix, Ends ends) {
    for (const char* name : {"in_zx", "in_bc", "in_dt"})
      scale(prefix + name, A(prefix + name) * ends.in);
    for (const char* name : {"conv", "conv_bias", "A_log", "dt_bias", "D"})
      scale(prefix + name, A(prefix + name));
    gain(prefix + "norm", 1.0, d_.model.ssm_expand * d_.model.width);
    scale(prefix + "out", A(prefix + "out") * ends.out);
  }

  void mlstm_large(const std::string& prefix, Ends ends) {
    for (const char* name : {"q", "k", "v", "o", "gates"})
      scale(prefix + name, A(prefix + name) * ends.in);
    scale(prefix + "q", d_.block.attention_logit / target_.attention_logit);
    scale(prefix + "gate_bias", A(prefix + "gate_bias"));
    gain(prefix + "norm", gain_factor(prefix + "norm"), d_.model.width);
    scale(prefix + "out", A(prefix + "out") * ends.out);
  }

  FfnFactor block_factor(size_t layer) const {
    return d_.block.ffn.empty() ? FfnFactor{} : d_.block.ffn[layer];
  }

  // Experts are ffns of the same kind, whose sum has a factor of its own.
  void mixture(const std::string& prefix, const FfnFactor& factor, Ends ends) {
    scale(prefix + "router", A(prefix + "router") * ends.in);
    for (int64_t e = 0; e < d_.model.moe_experts; ++e)
      ffn(fmt::format("{}experts.{}.", prefix, e), "swiglu",
          factor.activation.forward * factor.mixture, ends);
  }

  // act(m x) / m of the gate, or of all of it; relu^2 has no slope. Behind a norm inside, sizes
  // count for its epsilon alone: the other input of a gate takes them, and without a gate nothing
  // does.
  void ffn(const std::string& prefix, std::string_view kind, double factor, Ends ends) {
    const ModelConfig& m = d_.model;
    const bool gated = kind == "swiglu" || kind == "geglu" || kind == "reglu2";
    const double slope = kind == "relu2" || kind == "reglu2" ? 1.0 : d_.block.ffn_slope;
    const std::string up = prefix + (gated ? "gate_up" : "up"), down = prefix + "down";
    scale(up, A(up) * ends.in);
    if (m.ffn_bias) scale(up + "_bias", A(up + "_bias"));
    const int64_t inner = result_.at(up).size(0) / (gated ? 2 : 1);
    for (const std::string& name : {up, up + "_bias"}) {
      scale_rows(name, 0, inner, slope);
      if (m.sub_norm && gated) scale_rows(name, inner, inner, factor / slope);
    }
    if (m.sub_norm) gain(prefix + "sub_norm", gain_factor(prefix + "sub_norm"), inner);
    scale(down, A(down) * (m.sub_norm ? 1.0 : factor / slope) * ends.out);
    if (m.ffn_bias) scale(down + "_bias", A(down + "_bias") * ends.out);
  }

  const Decoder& d_;
  const FoldTarget& target_;
  std::map<std::string, size_t> names_;
  NamedTensors result_;
  double embedding_ = 1.0, stream_ = 1.0;
};

}  // namespace

NamedTensors fold(const Decoder& decoder, const Tensor& row, const FoldTarget& target) {
  return Folder(decoder, row, target).run();
}

}  // namespace rung
