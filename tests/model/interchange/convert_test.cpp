#include "model/interchange/convert.h"

#include "config/resolve.h"
#include "model/interchange/folder_fixture.h"

using namespace rung;
using namespace rung::test;

namespace {

struct Golden {
  const char* folder;
  const char* family;
};
constexpr Golden goldens[] = {{"llama", "llama"},
                              {"llama-tied", "llama"},
                              {"mistral", "mistral"},
                              {"qwen2", "qwen2"},
                              {"qwen3", "qwen3"},
                              {"olmo2", "olmo2"},
                              {"gpt2", "gpt2"},
                              {"gemma", "gemma"},
                              {"gemma2", "gemma2"},
                              {"mixtral", "mixtral"},
                              {"mamba2", "mamba2"},
                              {"gemma3", "gemma3_text"},
                              {"xlstm", "xlstm"},
                              {"xlstm-fused", "xlstm"},
                              {"bitnet", "bitnet"},
                              {"bitnet-online", "bitnet"},
                              {"bitnet-packed", "bitnet"},
                              {"bitnet-bitlinear", "bitnet"}};

}  // namespace

TEST_CASE("imported models have transformers' logits") {
  for (const Golden& golden : goldens) {
    CAPTURE(golden.folder);
    const fs::path folder = golden_folder(golden.folder);
    const Loaded model = load_folder(folder);
    CHECK(model.imported.family->model_type == golden.family);
    check_logits(model.logits(read_tensor(folder / "expected.safetensors", "tokens")),
                 read_tensor(folder / "expected.safetensors", "logits"));
  }
}

TEST_CASE("what was imported and exported is imported as the same model, to the bit") {
  for (const Golden& golden : goldens) {
    CAPTURE(golden.folder);
    const TemporaryFolder out;
    const Loaded model = load_folder(golden_folder(golden.folder));
    const at::Tensor row = model.weights[0];
    const Family& family = write_model(model.imported.config, model.decoder, row, -1, out.path);
    CHECK(family.model_type == golden.family);
    const Loaded back = load_folder(out.path);
    CHECK(to_json(back.imported.config) == to_json(model.imported.config));
    CHECK(same_bits(back.weights, model.weights));
  }
}

namespace {

// Runs with multipliers that each family must take in.
struct Folded {
  const char* family;
  std::vector<const char*> settings;
};
const std::vector<Folded> folded{
    {"llama", {"parametrisation=umup"}},
    {"llama",
     {"parametrisation=umup", "model.tied=true", "multipliers.alpha_emb=0.7",
      "multipliers.alpha_loss=1.3", "multipliers.alpha_ffn=0.8", "multipliers.alpha_attn=1.2",
      "multipliers.alpha_res=0.6", "multipliers.alpha_ratio=1.5", "model.ffn=geglu"}},
    {"llama",
     {"parametrisation=mup", "model.kv_heads=2", "model.head_dim=6", "model.norm_gain=true",
      "model.attention_bias=qkv", "model.ffn_bias=true"}},
    {"qwen3", {"parametrisation=completep", "model.qk_norm=true", "model.ffn=geglu"}},
    {"olmo2",
     {"parametrisation=mus", "model.norm_place=after", "model.qk_norm=true",
      "model.qk_norm_over=width"}},
    {"gpt2",
     {"parametrisation=umup", "model.norm=layernorm", "model.position=learned", "model.ffn=gelu",
      "model.tied=true", "multipliers.alpha_ffn=1.7"}},
    {"gemma2",
     {"parametrisation=umup", "preset=gemma2", "model.window=5", "multipliers.alpha_attn=0.8",
      "multipliers.alpha_res=0.5"}},
    {"gemma3_text", {"parametrisation=mfp", "preset=gemma3", "model.window=5"}},
    {"mistral", {"parametrisation=mup", "model.window=7"}},
    {"mixtral",
     {"parametrisation=umup", "model.ffn=moe", "model.moe_experts=4", "model.moe_top_k=2",
      "model.moe_ratio=0.75", "multipliers.alpha_ffn=1.3"}},
    {"mamba2",
     {"parametrisation=umup", "model.mixer=mamba2", "model.ffn=none", "model.tied=true",
      "model.norm_epsilon=1e-5", "multipliers.alpha_res=0.7"}},
    {"xlstm",
     {"parametrisation=umup", "preset=xlstm", "multipliers.alpha_attn=1.4",
      "multipliers.alpha_res=0.7", "multipliers.alpha_ffn=1.2"}},
    {"xlstm",
     {"parametrisation=completep", "preset=xlstm", "model.norm_gain=false", "model.tied=true"}},
    {"bitnet",
     {"parametrisation=umup", "preset=bitnet-2b4t", "model.linear=dense",
      "multipliers.alpha_res=0.7", "multipliers.alpha_attn=1.3"}},
    {"bitnet",
     {"parametrisation=mup", "preset=bitnet-2b4t", "model.linear=dense", "model.ffn=swiglu",
      "model.norm_gain=false", "model.attention_bias=all", "multipliers.alpha_ffn=1.6"}},
    {"bitnet", {"parametrisation=mup", "preset=bitnet-2b4t", "model.kv_heads=2"}},
};

}  // namespace

TEST_CASE("multipliers fold into weights: a run exported and imported computes the same") {
  for (const Folded& c : folded) {
    CAPTURE(c.family);
    CAPTURE(c.settings.back());
    const TemporaryFolder out;
    RunConfig config = tiny_config();
    config.base_width = 8;
    std::vector<Setting> settings;
    for (const char* text : c.settings) settings.push_back(parse_setting(text));
    config = resolve(config, settings).at(0);
    const Model model = make_model(config, 19, at::kFloat);
    CHECK(write_model(config, model.decoder, model.weights[0], -1, out.path).model_type ==
          c.family);
    const Tensor tokens = ids({2, 18}, 19, 3);
    const auto bound = bind(model.decoder.layout, model.weights, Tensor());
    const Tensor want = token_logits(model.decoder, bound, tokens.unsqueeze(0), model.ropes)[0];
    check_logits(load_folder(out.path).logits(tokens), want);
  }
}

TEST_CASE("what no family can hold is refused by the name of the key") {
  const auto refusal = [](const std::vector<const char*>& texts) {
    const TemporaryFolder out;
    std::vector<Setting> settings;
    for (const char* text : texts) settings.push_back(parse_setting(text));
    const RunConfig config = resolve(tiny_config(), settings).at(0);
    const Model model = make_model(config, 11, at::kFloat);
    return error_of([&] { write_model(config, model.decoder, model.weights[0], -1, out.path); });
  };
  const auto holds = [](const std::string& text, const char* part) {
    CAPTURE(text);
    CHECK(text.find(part) != std::string::npos);
  };
  holds(refusal({"model.key_offset=true"}),
        "llama, differs in model.key_offset (true, there false). Trained with --set "
        "model.key_offset=false it could be exported.");
  holds(refusal({"model.key_offset=true"}), "No known family (llama, ");
  holds(refusal({"model.key_offset=true", "model.position=cope"}),
        "--set model.position=rope model.key_offset=false it");
  holds(refusal({"model.ffn=relu2"}), "model.ffn");
  holds(refusal({"model.position=cope"}), "model.position");
  holds(refusal({"model.mixer=mamba2"}), "mamba2, differs in model.ffn (\"swiglu\"");
  holds(refusal({"model.mixer=mamba2", "model.ffn=none"}),
        "model.norm_epsilon (1e-06, there 1e-05)");
  holds(refusal({"preset=xlstm", "model.logit_cap=0"}), "model.logit_cap (0.0, there 30.0)");
  holds(refusal({"preset=xlstm", "model.norm_epsilon=1e-5"}), "xlstm, differs in model.norm_eps");
  holds(refusal({"preset=gemma2", "model.window=5", "model.norm=layernorm"}), "model.norm");
}
