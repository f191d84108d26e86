#include "ops/chunks.h"

#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/cumsum.h>
#include <ATen/ops/ones.h>

#include <limits>

namespace rung {

using at::Tensor;

Tensor chunks_of(const Tensor& x, int64_t groups, int64_t chunk, double pad) {
  const int64_t time = x.size(2), count = (time + chunk - 1) / chunk;
  std::vector<int64_t> more(static_cast<size_t>(2 * (x.dim() - 2)), 0);
  more.back() = count * chunk - time;
  const Tensor padded = more.back() ? at::constant_pad_nd(x, more, pad) : x;
  std::vector<int64_t> shape{x.size(0), x.size(1), count, chunk, groups, x.size(3) / groups};
  for (int64_t d = 4; d < x.dim(); ++d) shape.push_back(x.size(d));
  return padded.reshape(shape).movedim(3, 5);
}

// Summed by row from j on: differences of long sums would lose the digits of short ones.
Tensor log_decays(const Tensor& l) {
  const int64_t size = l.size(-1);
  const Tensor square = at::ones({size, size}, l.options().dtype(at::kBool));
  const Tensor terms = l.unsqueeze(-1).masked_fill(square.triu(0), 0.0);
  return at::cumsum(terms, -2).masked_fill(square.triu(1),
                                           -std::numeric_limits<double>::infinity());
}

}  // namespace rung
