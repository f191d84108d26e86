#include "ops/chunks.h"

#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/cumsum.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/ones.h>

#include <limits>

namespace rung {

using at::Tensor;

int64_t chosen_chunk(int64_t chunk, int64_t rows, int64_t columns) {
  if (chunk > 0) return chunk;
  chunk = 16;
  while (chunk < 128 && 2 * chunk * chunk <= rows * columns) chunk *= 2;
  return chunk;
}

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

// As log_decays: summed from the end, for the sake of short sums.
Tensor sums_after(const Tensor& l) {
  const Tensor later = l.narrow(-1, 1, l.size(-1) - 1).flip({-1});
  return at::constant_pad_nd(at::cumsum(later, -1).flip({-1}), {0, 1});
}

// Masked before exp: the gradient of an infinite one would not be a number.
Tensor decays_in(at::ScalarType type, const Tensor& to, const Tensor& from) {
  const int64_t size = to.size(-1);
  const Tensor later = at::ones({size, size}, to.options().dtype(at::kBool)).triu(1);
  return at::exp((to.unsqueeze(-1) + from.unsqueeze(-2))
                     .masked_fill(later, -std::numeric_limits<double>::infinity()))
      .to(type);
}

}  // namespace rung
