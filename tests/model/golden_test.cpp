// The decoder against goldens that tests/golden/make_decoder_golden.py wrote from the formulas.
#include "config/resolve.h"
#include "core/safetensors.h"
#include "support/models.h"
#include "support/source_dir.h"

using namespace rung;
using namespace rung::test;

namespace {

struct Golden {
  explicit Golden(const std::string& name)
      : file(fs::path(source_dir()) / "tests/golden" / ("decoder_" + name + ".safetensors")) {
    for (const auto& [key, value] : file.metadata())
      if (key != "vocabulary") apply_setting(config, key, value);
    vocabulary = std::stoll(file.metadata().at("vocabulary"));
  }
  Tensor tensor(const std::string& name) const {
    const TensorBlock& block = file.at(name);
    Tensor t = at::empty(block.shape, block.dtype == "I64" ? at::kLong : at::kDouble);
    std::memcpy(t.mutable_data_ptr(), block.bytes.data(), block.bytes.size());
    return t;
  }
  Safetensors file;
  RunConfig config;
  int64_t vocabulary = 0;
};

void check_golden(const std::string& name, at::ScalarType type, double tolerance) {
  CAPTURE(name);
  const Golden golden(name);
  Model model = make_model(golden.config, golden.vocabulary, type);
  const Layout& layout = model.decoder.layout;
  for (size_t i = 0; i < layout.tensors.size(); ++i)
    view(layout, model.weights, i)
        .copy_(golden.tensor("weight:" + layout.tensors[i].name).unsqueeze(0));
  const Tensor windows = golden.tensor("windows").unsqueeze(0);
  const int64_t context = golden.config.model.context;
  const Batch batch{windows.narrow(2, 0, context).contiguous(),
                    windows.narrow(2, 1, context).contiguous()};
  const Tensor losses = loss_and_gradient(model, batch);
  CHECK(distance(losses[0], golden.tensor("losses")) < tolerance);
  const Tensor logits = token_logits(model.decoder, model.bound(), batch.tokens, model.ropes);
  CHECK(distance(logits[0], golden.tensor("logits")) < tolerance);
  for (size_t i = 0; i < layout.tensors.size(); ++i) {
    CAPTURE(layout.tensors[i].name);
    CHECK(distance(view(layout, model.gradient, i)[0],
                   golden.tensor("gradient:" + layout.tensors[i].name)) < tolerance);
  }
}

}  // namespace

TEST_CASE("losses, logits and gradients equal an independent implementation") {
  for (const char* name : {"standard", "mup", "umup"}) {
    check_golden(name, at::kDouble, 1e-10);
    check_golden(name, at::kFloat, 1e-5);
  }
}
