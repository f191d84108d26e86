// The decoder against goldens that tests/golden/make_decoder_golden.py wrote from the formulas.
#include "support/golden_model.h"

using namespace rung;
using namespace rung::test;

namespace {

void check_golden(const std::string& name, at::ScalarType type, double tolerance) {
  CAPTURE(name);
  const GoldenModel golden("decoder_" + name);
  Model model = golden.model(type);
  const Batch batch = golden.batch();
  const Tensor losses = loss_and_gradient(model, batch);
  CHECK(distance(losses[0], golden.tensor("losses")) < tolerance);
  const Tensor logits = token_logits(model.decoder, model.bound(), batch.tokens, model.ropes);
  CHECK(distance(logits[0], golden.tensor("logits")) < tolerance);
  golden.check_gradients(model, tolerance);
}

}  // namespace

TEST_CASE("losses, logits and gradients equal an independent implementation") {
  for (const char* name : {"standard", "mup", "umup"}) {
    check_golden(name, at::kDouble, 1e-10);
    check_golden(name, at::kFloat, 1e-5);
  }
}
