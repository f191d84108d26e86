#ifdef RUNG_CUDA
#include "train/cuda_evaluate.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/from_blob.h>

#include <algorithm>

#include "train/engine.h"

namespace rung {

using at::Tensor;

namespace {

// Host losses [P, count * context] of `count` windows from `begin` on, which all members share.
Tensor window_losses(const Population& p, const CudaWeights& weights, const HeldOut& held_out,
                     int64_t begin, int64_t count, const Ropes& ropes, Tally& tally) {
  const int64_t length = held_out.context + 1;
  const Tensor host = at::from_blob(const_cast<int32_t*>(held_out.tokens.data()) + begin * length,
                                    {1, count, length}, at::kInt);
  const Tensor device = host.to(p.weights.device()).to(at::kLong).expand({p.members(), -1, -1});
  const Tensor tokens = device.narrow(2, 0, held_out.context).contiguous();
  const Tensor targets = device.narrow(2, 1, held_out.context).contiguous();
  return token_losses(p.decoder, weights.bound, tokens, targets, ropes, 0.0, &tally)
      .to(at::kCPU)
      .to(at::kDouble)
      .contiguous();
}

}  // namespace

std::vector<Evaluation> evaluate_on_gpu(const Population& p, const CudaWeights& weights,
                                        const HeldOut& held_out, const Ropes& ropes,
                                        int64_t chunk) {
  const at::NoGradGuard off;
  const int64_t members = p.members(), context = held_out.context, windows = held_out.windows();
  const int32_t documents =
      *std::max_element(held_out.document.begin(), held_out.document.end()) + 1;
  std::vector<std::vector<double>> sums(static_cast<size_t>(members));
  for (auto& row : sums) row.resize(static_cast<size_t>(documents), 0.0);
  Tally tally;
  for (int64_t begin = 0; begin < windows; begin += chunk) {
    const int64_t count = std::min(chunk, windows - begin);
    const Tensor losses = window_losses(p, weights, held_out, begin, count, ropes, tally);
    const double* loss = losses.const_data_ptr<double>();
    const int32_t* document = held_out.document.data() + begin * context;
    for (int64_t m = 0; m < members; ++m)
      for (int64_t i = 0; i < count * context; ++i)
        sums[static_cast<size_t>(m)][static_cast<size_t>(document[i])] +=
            loss[m * count * context + i];
  }
  std::vector<Evaluation> results;
  for (size_t m = 0; m < sums.size(); ++m) {
    results.push_back(summarise(held_out, sums[m]));
    results.back().statistics = tally.statistics(static_cast<int64_t>(m));
  }
  return results;
}

}  // namespace rung
#endif
