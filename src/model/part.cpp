#include "model/part.h"

#include <array>
#include <cmath>

#include "core/error.h"
#include "core/nearest.h"
#include "model/ffns/ffns.h"
#include "model/mixers/mixers.h"

namespace rung {
namespace {

constexpr std::array mixer_table{attention_mixer,   mamba2_mixer, mlstm_mixer,
                                 mlstm_large_mixer, slstm_mixer,  mlgru_mixer,
                                 sas_mixer,         sas_v_mixer,  sas_vp_mixer};
constexpr std::array ffn_table{swiglu_ffn, geglu_ffn, reglu2_ffn,   gelu_ffn, relu2_ffn,
                               moe_ffn,    peer_ffn,  fastfood_ffn, none_ffn};

}  // namespace

std::span<const Part> mixers() {
  return mixer_table;
}
std::span<const Part> ffns() {
  return ffn_table;
}

const Part& find_part(std::span<const Part> table, std::string_view kind, std::string_view name) {
  std::vector<std::string> names;
  for (const Part& part : table) {
    if (part.name == name) return part;
    names.emplace_back(part.name);
  }
  fail_usage("[{}] No {} is called '{}'.{}", kind, kind, name,
             suggestion(std::string(name), names, fmt::format(" `rung {}s` lists them.", kind)));
}

int64_t head_dim_of(const ModelConfig& model) {
  return model.head_dim ? model.head_dim : model.width / 4;
}
int64_t heads_of(const ModelConfig& model) {
  return model.heads ? model.heads : model.width / head_dim_of(model);
}
int64_t kv_heads_of(const ModelConfig& model) {
  return model.kv_heads ? model.kv_heads : heads_of(model);
}
int64_t ffn_width_of(const ModelConfig& model) {
  return std::llround(model.ffn_ratio * static_cast<double>(model.width));
}

TensorSpec hidden_matrix(std::string name, int64_t out, int64_t in) {
  return {.name = std::move(name),
          .role = Role::hidden,
          .shape = {out, in},
          .fan_in = in,
          .fan_out = out};
}

bool has_sub_gain(const ModelConfig& model) {
  return model.sub_norm && model.norm_gain;
}

at::Tensor sub_normed(const at::Tensor& x, const Weight& gain, const ModelConfig& model) {
  if (!model.sub_norm) return x;
  return norm(x, gain, {.epsilon = model.norm_epsilon, .center = model.norm == "layernorm"});
}

TensorSpec vector_of(Role role, std::string name, int64_t size) {
  return {.name = std::move(name), .role = role, .shape = {size}, .fan_in = 1, .fan_out = size};
}

}  // namespace rung
