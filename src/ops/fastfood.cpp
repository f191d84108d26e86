#include "ops/fastfood.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/stack.h>

#include <bit>
#include <cmath>
#include <map>
#include <mutex>
#include <numeric>

#include "core/error.h"
#include "core/random.h"
#include "ops/cpu/kernels.h"
#include "ops/custom.h"
#include "ops/dispatch.h"

namespace rung {

using at::Tensor;

int64_t FastfoodShape::n() const {
  return static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(in)));
}
int64_t FastfoodShape::blocks() const {
  return (out + n() - 1) / n();
}
double FastfoodShape::flops() const {
  const auto bits = static_cast<double>(std::bit_width(static_cast<uint64_t>(n())) - 1);
  return 2.0 * static_cast<double>(blocks() * n()) * bits;
}

Tensor hadamard_plain(const Tensor& x) {
  const int64_t n = x.size(-1);
  Tensor y = x.reshape({-1, n});
  for (int64_t half = 1; half < n; half *= 2) {
    const Tensor pairs = y.view({-1, n / (2 * half), 2, half});
    const Tensor a = pairs.select(2, 0), b = pairs.select(2, 1);
    y = at::stack({a + b, a - b}, 2).view({-1, n});
  }
  return (y * (1.0 / std::sqrt(static_cast<double>(n)))).view(x.sizes());
}

Tensor hadamard(const Tensor& x) {
  const int64_t n = x.size(-1);
  if (!std::has_single_bit(static_cast<uint64_t>(n)))
    fail("[hadamard] The size must be a power of two. Received {}.", n);
  if (!fused_on_cpu(x)) return hadamard_plain(x);
  const auto transformed = [n](const Tensor& from) {
    Tensor y = from.detach().clone(at::MemoryFormat::Contiguous);
    cpu::hadamard(y.numel() / n, n, y.mutable_data_ptr<float>());
    return y;
  };
  const Tensor y = transformed(x);
  record({y}, {x}, [transformed](const std::vector<Tensor>& g) {
    return std::vector<Tensor>{transformed(g[0])};
  });
  return y;
}

FastfoodMap make_fastfood(FastfoodShape shape, const char* name, int64_t layer) {
  FastfoodMap map{.shape = shape, .order = {}};
  const int64_t n = shape.n();
  for (int64_t block = 0; block < shape.blocks(); ++block) {
    std::vector<int64_t> order(static_cast<size_t>(n));
    std::iota(order.begin(), order.end(), int64_t{0});
    Random random(0, std::string("permutation:") + name,
                  static_cast<uint64_t>(layer) << 32U | static_cast<uint64_t>(block));
    for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random.below(i)]);
    map.order.insert(map.order.end(), order.begin(), order.end());
  }
  return map;
}

namespace {

Tensor copied(const std::vector<int64_t>& order, at::Device device) {
  return at::from_blob(const_cast<int64_t*>(order.data()), {static_cast<int64_t>(order.size())},
                       at::kLong)
      .clone()
      .to(device);
}

// On a GPU each order is copied once and stays: a captured step cannot copy from the host.
Tensor places(const std::vector<int64_t>& order, const Tensor& like) {
  if (!like.is_cuda()) return copied(order, like.device());
  using Kept = std::map<std::pair<int, std::vector<int64_t>>, Tensor>;
  static std::mutex mutex;
  static Kept& kept = *new Kept;  // outlives the driver, which is gone when statics end
  const std::lock_guard lock(mutex);
  Tensor& own = kept[{like.get_device(), order}];
  if (!own.defined()) own = copied(order, like.device());
  return own;
}

// x[..., order], whose gradient is the inverse permutation's.
Tensor permuted(const Tensor& x, const std::vector<int64_t>& order) {
  std::vector<int64_t> inverse(order.size());
  for (size_t i = 0; i < order.size(); ++i)
    inverse[static_cast<size_t>(order[i])] = static_cast<int64_t>(i);
  const Tensor y = x.detach().index_select(-1, places(order, x));
  record({y}, {x}, [back = places(inverse, x)](const std::vector<Tensor>& g) {
    return std::vector<Tensor>{g[0].index_select(-1, back)};
  });
  return y;
}

}  // namespace

Tensor fastfood(const Tensor& x, const FastfoodMap& map, const Weight& b, const Weight& g,
                const Weight& s) {
  const int64_t n = map.shape.n(), blocks = map.shape.blocks();
  const Tensor padded =
      n == map.shape.in ? x : at::constant_pad_nd(x, at::IntArrayRef{0, n - map.shape.in});
  const auto diagonal = [&](const Weight& weight) {
    return multiplied(weight).view({x.size(0), 1, 1, blocks, n});
  };
  const Tensor signs = diagonal(b), middle = diagonal(g), scale = diagonal(s);
  std::vector<Tensor> pieces;
  for (int64_t i = 0; i < blocks; ++i) {
    const std::vector<int64_t> order(map.order.begin() + i * n, map.order.begin() + (i + 1) * n);
    const Tensor mixed = permuted(hadamard(padded * signs.select(3, i)), order);
    pieces.push_back(hadamard(mixed * middle.select(3, i)) * scale.select(3, i));
  }
  const Tensor y = blocks == 1 ? pieces[0] : at::cat(pieces, -1);
  return y.size(-1) == map.shape.out ? y : y.narrow(-1, 0, map.shape.out).contiguous();
}

}  // namespace rung
