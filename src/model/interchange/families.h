// The families that the table in family.cpp lists.
#pragma once
#include "model/interchange/family.h"

namespace rung {

extern const Family llama_family, mistral_family, qwen2_family, qwen3_family, olmo2_family,
    gpt2_family, mixtral_family, mamba2_family, gemma1_family, gemma2_family, gemma3_family,
    xlstm_family, bitnet_family;

}  // namespace rung
