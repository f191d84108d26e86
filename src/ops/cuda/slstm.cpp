#ifdef RUNG_CUDA
#include "ops/slstm.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/zeros_like.h>

#include "ops/cuda/fused.h"
#include "ops/cuda/tensor.h"
#include "ops/custom.h"

namespace rung::cuda {

using at::Tensor;

bool fits_slstm(const Tensor& x) {
  return x.size(5) <= max_cell_size;
}

std::pair<Tensor, SlstmState> slstm(const Tensor& x, const Tensor& recurrent) {
  const CellShape shape{x.size(0), x.size(1), x.size(2), x.size(3), x.size(5)};
  const int64_t size = shape.size;
  Tensor maps, y, slots;
  SlstmState all;  // of every step
  {
    at::NoGradGuard off;
    const Tensor input = x.detach().contiguous();
    const auto wide = input.options().dtype(at::kFloat);
    maps = recurrent.detach()
               .to(at::kFloat)
               .reshape({shape.members, shape.heads, 4 * size, size})
               .contiguous();
    const Tensor transposed = maps.mT().contiguous();
    const std::vector<int64_t> sizes{shape.members, shape.batch, shape.time, shape.heads, size};
    y = at::empty(sizes, input.options());
    slots = at::empty(x.sizes(), wide);
    all = {y.detach(), at::empty(sizes, wide), at::empty(sizes, wide), at::empty(sizes, wide)};
    slstm_forward(type_of(input), shape, data(input), floats(transposed), writable(y),
                  floats(slots), floats(all.c), floats(all.n), floats(all.m), stream());
  }
  record({y}, {x, recurrent},
         [=, sizes = recurrent.sizes().vec(),
          type = recurrent.scalar_type()](const std::vector<Tensor>& g) {
           const Tensor dy = g[0].contiguous();
           Tensor dx = at::empty(slots.sizes(), dy.options());
           slstm_backward(type_of(dy), shape, floats(maps), floats(slots), floats(all.c),
                          floats(all.n), floats(all.m), data(dy), writable(dx), stream());
           // Of the recurrent matrix: slots of each step times the outputs of the one before.
           const Tensor before = at::cat(
               {at::zeros_like(all.y.narrow(2, 0, 1)), all.y.narrow(2, 0, shape.time - 1)}, 2);
           const auto by_head = [&](const Tensor& t, int64_t units) {
             return t.view({shape.members, shape.batch * shape.time, shape.heads, units})
                 .transpose(1, 2);
           };
           const Tensor dmaps = at::matmul(by_head(dx, 4 * size).mT(), by_head(before, size));
           return std::vector<Tensor>{dx, dmaps.reshape(sizes).to(type)};
         });
  const auto last = [&](const Tensor& t) { return t.select(2, shape.time - 1); };
  return {y, {last(all.y), last(all.c), last(all.n), last(all.m)}};
}

}  // namespace rung::cuda
#endif
