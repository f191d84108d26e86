#include "model/interchange/folder_fixture.h"

using namespace rung;
using namespace rung::test;

namespace {

// A golden folder copied, so that it may be damaged.
struct Copy {
  explicit Copy(const std::string& name) {
    for (const auto& entry : fs::directory_iterator(golden_folder(name)))
      fs::copy(entry.path(), folder / entry.path().filename().string());
  }
  void set(const char* key, const Json& value) {
    Json json = read_json(folder / "config.json");
    json[key] = value;
    write_json(folder / "config.json", json);
  }
  void drop(const char* key) {
    Json json = read_json(folder / "config.json");
    json.erase(key);
    write_json(folder / "config.json", json);
  }
  std::string error() const {
    return error_of([&] { load_folder(folder.path); });
  }
  TemporaryFolder folder;
};

std::string after_setting(const std::string& name, const char* key, const Json& value) {
  Copy copy(name);
  copy.set(key, value);
  return copy.error();
}

void holds(const std::string& text, const std::string& part) {
  CAPTURE(text);
  CHECK(text.find(part) != std::string::npos);
}

// Rewrites the tensors of a folder of one file.
void change_tensors(const Copy& copy,
                    const std::function<void(std::vector<TensorBlock>&)>& change) {
  const fs::path path = copy.folder / "model.safetensors";
  std::string bytes = read_file(path);
  {
    const Safetensors file(path);
    std::vector<TensorBlock> blocks = file.blocks();
    change(blocks);
    write_safetensors(copy.folder / "changed", blocks);
  }
  fs::rename(copy.folder / "changed", path);
}

}  // namespace

TEST_CASE("fields that Rung lacks are refused by name, whatever their family") {
  holds(after_setting("llama", "hidden_act", "relu"), "hidden_act is supported as silu, gelu");
  holds(after_setting("llama", "rope_scaling", {{"rope_type", "yarn"}, {"factor", 4.0}}),
        "rope_type is supported as default, linear or llama3 only. Received \"yarn\"");
  holds(after_setting("llama", "some_new_thing", 3), "some_new_thing is not known. Received 3");
  holds(after_setting("llama", "quantization_config", {{"bits", 4}}), "quantization_config");
  holds(after_setting("gpt2", "scale_attn_by_inverse_layer_idx", true),
        "scale_attn_by_inverse_layer_idx is supported as false only");
  holds(after_setting("gpt2", "activation_function", "relu"), "activation_function");
  holds(after_setting("gemma3", "use_bidirectional_attention", true),
        "use_bidirectional_attention");
  holds(after_setting("gemma3", "layer_types", {"sliding_attention"}), "an entry for each layer");
  holds(after_setting("qwen2", "layer_types", {"chunked_attention", "full_attention"}),
        "full_attention and sliding_attention only");
  holds(after_setting("qwen3", "vocab_size", "many"), "vocab_size must be a whole number");
  holds(after_setting("llama", "model_type", "bert"), "none of llama, mistral");
  holds(after_setting("llama", "num_key_value_heads", 3), "Rung cannot hold");
  Copy copy("llama");
  copy.drop("hidden_size");
  holds(copy.error(), "hidden_size must be a whole number. Received nothing");
}

TEST_CASE("absent fields have the family's defaults, and a null is no value") {
  Copy copy("gemma2");
  copy.drop("layer_types");  // every other layer is local, the first of them
  CHECK(read_model(copy.folder.path).config.model.windows == "local, global");
  copy.set("attn_logit_softcapping", Json());
  CHECK(read_model(copy.folder.path).config.model.attention_cap == 0.0);
  copy.drop("attn_logit_softcapping");
  CHECK(read_model(copy.folder.path).config.model.attention_cap == 50.0);
  Copy older("gemma3");  // as transformers 4 writes it
  older.drop("rope_parameters");
  older.drop("layer_types");
  older.set("sliding_window_pattern", 3);
  older.set("rope_theta", 10000.0);
  older.set("rope_local_base_freq", 100.0);
  older.set("rope_scaling", {{"rope_type", "linear"}, {"factor", 8.0}});
  const ModelConfig now = read_model(golden_folder("gemma3")).config.model,
                    then = read_model(older.folder.path).config.model;
  CHECK(then.windows == "local x2, global");
  CHECK(now.windows == then.windows);
  CHECK(now.rope_theta == then.rope_theta);
  CHECK(now.rope_theta_local == then.rope_theta_local);
  CHECK(now.rope_factor == then.rope_factor);
}

TEST_CASE("an infinity as Python writes it is read, another limit is refused") {
  Copy copy("mamba2");
  std::string text = read_file(copy.folder / "config.json");
  const size_t begin = text.find('{', text.find("time_step_limit")), end = text.find('}', begin);
  write_file(copy.folder / "config.json", text.replace(begin, end + 1 - begin, "Infinity"));
  CHECK(read_model(copy.folder.path).config.model.mixer == "mamba2");
  Copy other("mamba2");
  other.set("time_step_limit", {0.0, 0.5});
  holds(other.error(), "time_step_limit is supported from 0 to infinity only");
}

TEST_CASE("xLSTM's sizes have two names each, and what its parts have no room for is refused") {
  holds(after_setting("xlstm", "embedding_dim", 32), "embedding_dim differs from hidden_size");
  holds(after_setting("xlstm", "gate_soft_cap", 20.0), "gate_soft_cap is supported as 15.0 only");
  holds(after_setting("xlstm", "qk_dim_factor", 1.0), "qk_dim_factor is supported as 0.5 only");
  holds(after_setting("xlstm", "use_bias", true), "use_bias is supported as false only");
  holds(after_setting("xlstm", "norm_eps", 1e-5), "norm_eps is supported as 1e-06 only");
  holds(after_setting("xlstm", "num_heads", 3), "num_heads must divide half of hidden_size");
  holds(after_setting("xlstm", "weight_mode", "split"), "weight_mode is supported as single or");
  holds(after_setting("xlstm", "weight_mode", "fused"), "Received no backbone.blocks.0");
  Copy copy("xlstm");  // as the first release of the 7B model has them
  copy.drop("hidden_size");
  copy.drop("num_hidden_layers");
  copy.set("output_logit_soft_cap", 20);
  const ModelConfig m = read_model(copy.folder.path).config.model;
  CHECK(m.width == 16);
  CHECK(m.depth == 2);
  CHECK(m.logit_cap == 20.0);
}

TEST_CASE("BitNet's defaults are its own, and other quantisers are refused by name") {
  const auto quantised = [](const char* key, const Json& value) {
    Json json = {{"quant_method", "bitnet"}, {"linear_class", "autobitlinear"}};
    json[key] = value;
    return after_setting("bitnet-packed", "quantization_config", json);
  };
  holds(quantised("quant_method", "gptq"), "quant_method is supported as \"bitnet\" only");
  holds(quantised("use_rms_norm", true), "use_rms_norm is supported as false only");
  holds(quantised("linear_class", "other"), "linear_class is supported as bitlinear or");
  holds(quantised("quantization_mode", "later"), "quantization_mode is supported as online or");
  holds(quantised("modules_to_not_convert", {"lm_head", "model.layers.0"}),
        "modules_to_not_convert is supported as lm_head alone");
  holds(quantised("group_size", 64), "group_size is not known");
  holds(quantised("quantization_mode", "online"), "of the type U8 are not read");
  holds(after_setting("bitnet-packed", "quantization_config", Json()), "type U8 are not read");
  holds(after_setting("bitnet-packed", "attention_bias", true), "attention_bias is supported as");
  holds(after_setting("bitnet-online", "head_dim", 8), "times num_attention_heads must be");
  Copy copy("bitnet-online");
  for (const char* key : {"hidden_act", "rms_norm_eps", "rope_parameters"}) copy.drop(key);
  const ModelConfig m = read_model(copy.folder.path).config.model;
  CHECK(m.ffn == "reglu2");
  CHECK(m.norm_epsilon == 1e-5);
  CHECK(m.rope_theta == 500000.0);
  CHECK(m.linear == "ternary");
  change_tensors(copy, [](auto& blocks) {
    std::erase_if(blocks, [](const TensorBlock& b) { return b.name.ends_with("up_proj.weight"); });
  });
  holds(copy.error(), "lacks a tensor of bitnet. Received no model.layers.0.mlp.up_proj.weight");
}

TEST_CASE("missing, extra and misshapen tensors are named in one line") {
  const std::string name = "model.layers.1.mlp.up_proj.weight";
  {
    Copy copy("qwen3");
    change_tensors(copy, [&](auto& blocks) {
      std::erase_if(blocks, [&](const TensorBlock& b) { return b.name == name; });
    });
    holds(copy.error(), "lacks a tensor of qwen3. Received no " + name);
  }
  {
    Copy copy("qwen3");
    change_tensors(copy, [&](auto& blocks) {
      blocks.push_back(blocks.front());
      blocks.back().name = "model.layers.7.mlp.up_proj.weight";
    });
    holds(copy.error(), "does not have. Received model.layers.7.mlp.up_proj.weight");
  }
  {
    Copy copy("qwen3");
    change_tensors(copy, [&](auto& blocks) {
      for (TensorBlock& b : blocks)
        if (b.name == name) std::swap(b.shape[0], b.shape[1]);
    });
    holds(copy.error(), name + " must have 24 rows. Received the shape [16, 24]");
  }
  {
    Copy copy("qwen3");
    change_tensors(copy, [&](auto& blocks) {
      for (TensorBlock& b : blocks)
        if (b.name == "model.layers.0.mlp.down_proj.weight") std::swap(b.shape[0], b.shape[1]);
    });
    holds(copy.error(), "blocks.0.ffn.down must have the shape [16, 24]. Received [24, 16]");
  }
}

TEST_CASE("shards are found by their index, which must agree with them") {
  Copy copy("llama");
  Json index = read_json(copy.folder / "model.safetensors.index.json");
  Json& map = index.at("weight_map");
  const Json kept = map;
  CHECK(kept.size() > 1);
  map["model.norm.weight"] = "../model-00001-of-00003.safetensors";
  write_json(copy.folder / "model.safetensors.index.json", index);
  holds(copy.error(), "outside the folder");
  map = kept;
  map["model.more.weight"] = map["model.norm.weight"];
  write_json(copy.folder / "model.safetensors.index.json", index);
  holds(copy.error(), "lacks a tensor that the index places there. Received model.more.weight");
  fs::remove(copy.folder / "model.safetensors.index.json");
  holds(copy.error(), "holds neither model.safetensors nor");
}

TEST_CASE(
    "files of the bare model, buffers and a second readout are read; another readout is not") {
  const Tensor want = load_folder(golden_folder("gpt2")).weights;
  Copy copy("gpt2");
  change_tensors(copy, [](auto& blocks) {
    for (TensorBlock& b : blocks) b.name = b.name.substr(std::string("transformer.").size());
    blocks.push_back(blocks.front());
    blocks.back().name = "h.0.attn.bias";
    for (const TensorBlock& b : std::vector<TensorBlock>(blocks))
      if (b.name == "wte.weight") {
        blocks.push_back(b);
        blocks.back().name = "lm_head.weight";
      }
  });
  CHECK(same_bits(load_folder(copy.folder.path).weights, want));
  change_tensors(copy, [](auto& blocks) {
    for (TensorBlock& b : blocks)
      if (b.name == "lm_head.weight")
        for (const TensorBlock& other : blocks)
          if (other.name == "h.0.mlp.c_fc.weight") {
            b.bytes = other.bytes;
            b.shape = other.shape;
          }
  });
  holds(copy.error(), "lm_head.weight differs from the embedding");
}
