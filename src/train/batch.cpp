#include "train/batch.h"

#include <ATen/ops/empty.h>

#include "train/engine.h"

namespace rung {

Batch to_batch(std::span<const int32_t> windows, int64_t context) {
  const int64_t count = static_cast<int64_t>(windows.size()) / (context + 1);
  Batch batch{at::empty({1, count, context}, at::kLong), at::empty({1, count, context}, at::kLong)};
  int64_t* tokens = batch.tokens.mutable_data_ptr<int64_t>();
  int64_t* targets = batch.targets.mutable_data_ptr<int64_t>();
  for (int64_t i = 0; i < count; ++i)
    for (int64_t t = 0; t < context; ++t) {
      const int32_t* window = windows.data() + i * (context + 1);
      tokens[i * context + t] = window[t];
      targets[i * context + t] = window[t + 1];
    }
  return batch;
}

Batch coming_batch(const Population& p, int64_t member, int64_t begin, int64_t count) {
  using Engine = Population::Engine;
  const int64_t context = p.decoder.model.context;
  std::vector<int32_t> windows(static_cast<size_t>(count * (context + 1)));
  for (int64_t i = 0; i < count; ++i)
    Engine::source(p).read(Engine::window(p, member, begin + i),
                           std::span(windows).subspan(static_cast<size_t>(i * (context + 1)),
                                                      static_cast<size_t>(context + 1)));
  return to_batch(windows, context);
}

}  // namespace rung
