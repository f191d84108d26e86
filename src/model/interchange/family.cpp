#include "model/interchange/family.h"

#include "core/error.h"
#include "model/interchange/families.h"

namespace rung {
namespace {

// A run is exported as the first that has all of its model.
const std::array table = {llama_family, mistral_family, qwen2_family,  qwen3_family,
                          olmo2_family, gemma1_family,  gemma2_family, gemma3_family,
                          gpt2_family,  mixtral_family, mamba2_family, xlstm_family,
                          bitnet_family};

}  // namespace

std::span<const Family> families() {
  return table;
}

const Family& find_family(const std::string& model_type) {
  std::vector<std::string_view> names;
  for (const Family& family : families()) {
    if (family.model_type == model_type) return family;
    names.push_back(family.model_type);
  }
  fail("[interchange] The model_type is none of {}. Received {}.", fmt::join(names, ", "),
       model_type.empty() ? "nothing" : model_type);
}

}  // namespace rung
