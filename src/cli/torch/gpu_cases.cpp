#include "cli/torch/gpu_cases.h"

#include <algorithm>
#include <cmath>

#include "core/random.h"
#include "data/made_tokens.h"
#include "ops/cuda/hopper/linear_loss.h"
#include "ops/cuda/hopper/powers_loss.h"
#include "ops/cuda/hopper/sliced_mlp.h"
#include "ops/cuda/hopper/streamed_loss.h"
#include "ops/cuda/hopper/streamed_mlp.h"
#include "ops/cuda/mlp.h"
#include "ops/cuda/norm_linear.h"

namespace rung {
namespace {

class ZipfTokens : public MadeTokens {
 public:
  explicit ZipfTokens(int64_t vocabulary) : vocabulary_(vocabulary), table_(1 << 16) {
    const double top = std::log(static_cast<double>(vocabulary + 1) / 2.0);
    for (size_t i = 0; i < table_.size(); ++i) {
      const double u = (static_cast<double>(i) + 0.5) / static_cast<double>(table_.size());
      table_[i] = std::min(static_cast<int32_t>(2.0 * std::exp(u * top) - 1.0),
                           static_cast<int32_t>(vocabulary - 1));
    }
  }
  int64_t vocabulary() const override { return vocabulary_; }
  int64_t sequences(int64_t) const override { return int64_t{1} << 40; }
  void read(int64_t index, std::span<int32_t> out) const override {
    uint64_t state = mix_bits(static_cast<uint64_t>(index) + 77);
    for (int32_t& value : out) {
      state = state * 6364136223846793005ull + 1442695040888963407ull;
      value = table_[state >> 48];
    }
  }

 private:
  int64_t vocabulary_;
  std::vector<int32_t> table_;
};

}  // namespace

std::vector<RunConfig> gpu_members(const GpuCase& c) {
  RunConfig config;
  config.parametrisation = c.precision == "fp8" ? "umup" : "standard";
  config.device = "cuda";
  config.precision = std::string(c.precision);
  config.model.width = c.width;
  config.model.depth = c.depth;
  config.model.mixer = std::string(c.mixer);
  config.model.head_dim = c.width / c.heads;
  if (c.inner > 0)
    config.model.ffn_ratio = static_cast<double>(c.inner) / static_cast<double>(c.width);
  else
    config.model.ffn = "none";
  if (c.ffn == "moe") {
    config.model.ffn = "moe";
    config.model.moe_experts = 8;
    config.model.moe_top_k = 2;
    config.model.moe_ratio = 0.5 * config.model.ffn_ratio;
  }
  config.train.optimizer = std::string(c.optimizer);
  config.model.ssm_head_dim = config.model.ssm_expand * c.width / c.heads;
  config.model.ssm_state = 128;
  config.model.context = c.context;
  config.train.batch_tokens = c.batch * c.context;
  config.train.tokens = 1'000'000 * config.train.batch_tokens;  // more than any round takes
  config.train.lr = c.precision == "fp8" ? 0.25 : 1e-3;
  config.train.epsilon = 1e-8;
  config.train.clip = 1.0;
  std::vector<RunConfig> members(static_cast<size_t>(c.members), config);
  for (size_t m = 0; m < members.size(); ++m) members[m].seed = m + 1;
  return members;
}

std::shared_ptr<const TokenSource> zipf_tokens(int64_t vocabulary) {
  return std::make_shared<ZipfTokens>(vocabulary);
}

int64_t parameters_of(const GpuCase& c) {
  const Decoder decoder = make_decoder(gpu_members(c).front(), c.vocabulary);
  int64_t count = 0;
  for (const TensorSpec& tensor : decoder.layout.tensors) count += tensor.size();
  return count;
}

GpuCase plain_of(const GpuCase& c) {
  GpuCase plain = c;
  plain.ffn = "swiglu";
  plain.optimizer = "adamw";
  return plain;
}

bool has_plain(const GpuCase& c) {
  return c.ffn != "swiglu" || c.optimizer != "adamw";
}

std::optional<double> step_bytes(const GpuCase& c) {
  if (c.mixer != "attention" || has_plain(c) || c.precision != "bf16") return std::nullopt;
  const double D = static_cast<double>(c.width), F = static_cast<double>(c.inner),
               V = static_cast<double>(c.vocabulary);
  const bool narrow =
      cuda::fits_mlp(c.width, c.inner) && cuda::fits_norm_linear(c.width, 3 * c.width);
  const bool sliced =
      cuda::fits_sliced_mlp(c.width, c.inner) && cuda::fits_wide_norm_linear(c.width, 3 * c.width);
  const bool streamed = cuda::fits_streamed_mlp(c.width, c.inner);
  const int64_t head_dim = c.width / c.heads;
  const double rotation = head_dim == 64 && c.context > 64     ? (c.context <= 1024 ? 2.0 : 6.0) * D
                          : head_dim <= 64 && c.context <= 256 ? 0.0
                                                               : 12.0 * D;
  const double layer = rotation + (narrow     ? 35.0 * D
                                   : sliced   ? 43.0 * D + 6.0 * F
                                   : streamed ? 45.0 * D + 6.0 * F
                                              : 52.0 * D + 17.0 * F);
  const double logits = c.width <= cuda::widest_linear_loss               ? 0.0
                        : cuda::fits_streamed_loss(c.width, c.vocabulary) ? 2.0 * V + D
                        : cuda::fits_powers_loss(c.width, c.vocabulary)   ? 3.0 * V + 4.0 * D
                                                                          : 5.0 * V;
  // Between two layers the ffn's kernels make the next norm and its map, and go back through them;
  // behind the last layer the norm alone.
  const double taken = streamed ? D * (5.0 * static_cast<double>(c.depth - 1) + 2.0) : 0.0;
  const double token = static_cast<double>(c.depth) * layer - taken + 15.0 * D + logits;
  return static_cast<double>(c.members) * (2.0 * token * static_cast<double>(c.batch * c.context) +
                                           42.0 * static_cast<double>(parameters_of(c)));
}

}  // namespace rung
