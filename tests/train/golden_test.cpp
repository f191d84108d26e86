// Training against the goldens of tests/golden/make_decoder_golden.py: warm-up, clip, decay, every
// rule's C and epsilon, and the cooldown, through the population itself.
#include "config/resolve.h"
#include "core/safetensors.h"
#include "support/configs.h"
#include "support/source_dir.h"
#include "support/twins.h"
#include "train/population.h"

using namespace rung;
using namespace rung::test;

TEST_CASE("six steps of training equal an independent implementation") {
  for (const std::string name : {"standard", "mup", "umup"})
    for (const char* precision : {"fp32", "fp64"}) {
      CAPTURE(name);
      CAPTURE(precision);
      const Safetensors file(fs::path(source_dir()) / "tests/golden" /
                             ("decoder_" + name + ".safetensors"));
      RunConfig config;
      for (const auto& [key, value] : file.metadata())
        if (key != "vocabulary") apply_setting(config, key, value);
      config.precision = precision;
      const auto tensor = [&](const std::string& key) {
        const TensorBlock& block = file.at(key);
        Tensor t = at::empty(block.shape, block.dtype == "I64" ? at::kLong : at::kDouble);
        std::memcpy(t.mutable_data_ptr(), block.bytes.data(), block.bytes.size());
        return t;
      };
      const Tensor windows = tensor("windows"), history = tensor("history");
      std::vector<std::vector<int32_t>> rows;
      for (int64_t i = 0; i < windows.size(0); ++i) {
        rows.emplace_back();
        for (int64_t t = 0; t < windows.size(1); ++t)
          rows.back().push_back(static_cast<int32_t>(windows[i][t].item<int64_t>()));
      }
      // A step takes as many windows as there are: each batch is all of them, in some order.
      Population p(
          {config},
          std::make_shared<FixedSource>(std::stoll(file.metadata().at("vocabulary")), rows),
          make_machine("cpu", 1));
      const Layout& layout = p.decoder.layout;
      for (size_t i = 0; i < layout.tensors.size(); ++i)
        view(layout, p.weights, i).copy_(tensor("weight:" + layout.tensors[i].name).unsqueeze(0));
      for (int64_t step = 0; step < history.size(0); ++step) {
        CAPTURE(step);
        p.advance();
        CHECK(p.states[0].loss == doctest::Approx(history[step].item<double>()).epsilon(1e-5));
      }
      for (size_t i = 0; i < layout.tensors.size(); ++i) {
        CAPTURE(layout.tensors[i].name);
        CHECK(distance(view(layout, p.weights, i)[0], tensor("trained:" + layout.tensors[i].name)) <
              1e-4);
      }
    }
}
