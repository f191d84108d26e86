#include "model/interchange/packed.h"

#include "config/resolve.h"
#include "model/interchange/folder_fixture.h"
#include "ops/ternary.h"

using namespace rung;
using namespace rung::test;

namespace {

Tensor numbers(std::vector<int64_t> shape, std::vector<double> values, at::ScalarType type) {
  const Tensor t = at::empty(shape, at::kDouble);
  std::copy(values.begin(), values.end(), t.mutable_data_ptr<double>());
  return t.to(type);
}

TensorBlock block_of(const char* name, const char* type, const Tensor& t) {
  return {
      name, type, t.sizes().vec(), {static_cast<const std::byte*>(t.const_data_ptr()), t.nbytes()}};
}

// What ternary_weights makes of codes and a scale.
Tensor weights_of(const Tensor& codes, double scale, bool inverse = false) {
  const Tensor number = numbers({1}, {scale}, at::kFloat);
  return ternary_weights(
      block_of("w.weight", codes.scalar_type() == at::kByte ? "U8" : "F32", codes),
      block_of("w.weight_scale", "F32", number), inverse);
}

Tensor some_codes() {
  return normal({8, 5}, 3).round().clamp(-1.0, 1.0).to(at::kFloat);
}

void holds(const std::string& text, const std::string& part) {
  CAPTURE(text);
  CHECK(text.find(part) != std::string::npos);
}

Model ternary_model(RunConfig& config, const std::vector<const char*>& more) {
  std::vector<Setting> settings{parse_setting("preset=bitnet-2b4t"),
                                parse_setting("model.ffn_ratio=3")};
  for (const char* text : more) settings.push_back(parse_setting(text));
  config = resolve(tiny_config(), settings).at(0);
  return make_model(config, 11, at::kFloat);
}

}  // namespace

TEST_CASE("codes stand four rows to a byte, as the example of transformers has them") {
  const Tensor bytes = numbers({2, 2}, {0b10100001, 0b00011000, 0b10010000, 0b00001010}, at::kByte);
  const Tensor codes =
      numbers({8, 2}, {0, -1, -1, 1, -1, 1, -1, 1, 1, 0, 0, -1, 1, -1, 1, -1}, at::kFloat);
  CHECK(same_bits(unpacked_codes(bytes, "w"), codes));
  CHECK(same_bits(packed_codes(codes, "w"), bytes));
  CHECK(same_bits(unpacked_codes(packed_codes(some_codes(), "w"), "w"), some_codes()));
  holds(error_of([&] { packed_codes(codes.narrow(0, 0, 6), "some.map"); }),
        "rows in fours. Received 6 rows in some.map");
  holds(error_of([&] { unpacked_codes(bytes + 2, "some.map"); }), "some.map holds a code that");
}

TEST_CASE("weights made of codes and a scale round to the same codes and scale") {
  const Tensor codes = some_codes();
  for (const bool inverse : {false, true})
    for (const double scale : {2e-5, 0.7, 30.0}) {
      CAPTURE(scale);
      const Tensor w = weights_of(packed_codes(codes, "w"), inverse ? 1.0 / scale : scale, inverse);
      const int64_t rows[] = {8};
      const Codes found = ternary_codes(w.unsqueeze(0), rows);
      CHECK(same_bits(found.codes[0], codes));
      CHECK((found.scale / scale - 1.0).abs().max().item<double>() < 1e-6);
      CHECK(same_bits(weights_of(codes, inverse ? 1.0 / scale : scale, inverse), w));
    }
  CHECK(weights_of(at::zeros({4, 2}), 0.3).abs().max().item<double>() == 0.0);
  holds(error_of([&] { weights_of(codes, 1e-6); }), "w.weight_scale must make a map's scale at");
  holds(error_of([&] { weights_of(codes, 0.0, true); }), "w.weight_scale must make");
  holds(error_of([&] { weights_of(codes * 0.5, 1.0); }), "w.weight must hold -1, 0 and 1");
}

TEST_CASE("a packed folder imported and packed again holds the same bytes") {
  for (const char* name : {"bitnet-packed", "bitnet-bitlinear"}) {
    CAPTURE(name);
    const TemporaryFolder out;
    const Loaded model = load_folder(golden_folder(name));
    write_model(model.imported.config, model.decoder, model.weights[0], -1, out.path, true);
    const Safetensors theirs(golden_folder(name) / "model.safetensors"),
        ours(out / "model.safetensors");
    CHECK(ours.blocks().size() == theirs.blocks().size());
    int64_t packed = 0;
    for (const TensorBlock& block : theirs.blocks()) {
      CAPTURE(block.name);
      const TensorBlock& own = ours.at(block.name);
      CHECK(own.dtype == block.dtype);
      CHECK(own.shape == block.shape);
      if (block.name.ends_with("_scale")) continue;
      CHECK(std::ranges::equal(own.bytes, block.bytes));
      packed += block.dtype == "U8";
    }
    CHECK(packed == 14);
    const Tensor tokens = read_tensor(golden_folder(name) / "expected.safetensors", "tokens");
    check_logits(load_folder(out.path).logits(tokens), model.logits(tokens));
  }
}

TEST_CASE("a ternary run packs into 2 bits a weight and comes back with the same codes") {
  for (const char* bias : {"model.attention_bias=none", "model.attention_bias=all"}) {
    CAPTURE(bias);
    const TemporaryFolder out;
    RunConfig config;
    const Model model = ternary_model(config, {"parametrisation=mup", bias});
    write_model(config, model.decoder, model.weights[0], -1, out.path, true);
    const Loaded back = load_folder(out.path);
    CHECK(back.imported.config.model.linear == "ternary");
    const auto before = model.bound(), after = bind(back.decoder.layout, back.weights, Tensor());
    for (size_t i = 0; i < before.size(); ++i) {
      if (!before[i].ternary) continue;
      const std::string& name = model.decoder.layout.tensors[i].name;
      CAPTURE(name);
      size_t j = 0;
      while (back.decoder.layout.tensors[j].name != name) ++j;
      CHECK(same_bits(ternary_codes(before[i].value, *before[i].ternary).codes,
                      ternary_codes(after[j].value, *after[j].ternary).codes));
    }
  }
}

TEST_CASE("what cannot be packed is refused") {
  const TemporaryFolder out;
  RunConfig config;
  const auto refusal = [&](const std::vector<const char*>& settings) {
    const Model model = ternary_model(config, settings);
    return error_of(
        [&] { write_model(config, model.decoder, model.weights[0], -1, out.path, true); });
  };
  holds(refusal({"model.linear=dense"}), "Packed maps are ternary ones of the family bitnet");
  holds(refusal({"model.linear=dense", "model.sub_norm=false", "model.ffn=swiglu"}),
        "Received llama");
  holds(refusal({"model.width=18", "model.head_dim=6", "model.ffn_ratio=2"}), "rows in fours");
  holds(refusal({"model.linear=bitnet"}), "bitnet, differs in model.linear");
}
