// The kernels of narrow models alone, on one stream and in allocations of their own, for sanitizers
// and a quick look: `narrow_kernels ffns|maps|losses|sums` runs these at shapes that
// reach all of their forms (compute-sanitizer --tool memcheck|racecheck), `narrow_kernels time`
// takes the times of all at width 64 and 128. That what they give is right is
// tests/ops/cuda_narrow_test.cpp's to say.
#include <cuda_runtime_api.h>

#include <cstdio>
#include <utility>
#include <vector>

#include "device_buffers.h"
#include "kernel_runs.h"
#include "ops/cuda/hopper/few_rows_kernels.h"
#include "ops/cuda/hopper/linear_loss.h"
#include "ops/cuda/hopper/resident_mlp.h"
#include "ops/cuda/hopper/resident_norm_linear.h"
#include "ops/cuda/hopper/sliced_mlp.h"
#include "ops/cuda/norm_linear.h"
#include "row_sums_case.h"

using namespace rung;
using namespace rung::cuda;

namespace {

struct FfnCase {
  int64_t members, rows, width, inner;
  Curve curve;
  bool map = true;
};

// Both passes at width 32 or 64; the gradients' space is made here. `mapped`: of the step whose
// gradient goes through its map as well.
void narrow_ffn(Buffers& b, const MlpShape& shape, const MlpForward& forward, MlpBackward backward,
                const MlpAroundGradient& mapped) {
  backward.dfirst_factor = backward.dsecond_factor = 2.0f;
  backward.dfirst_stride = shape.first_stride;
  backward.dsecond_stride = shape.second_stride;
  const int64_t elements = backward.dfirst_stride + backward.dsecond_stride;
  backward.dfirst = b.zeros(shape.members * backward.dfirst_stride);
  backward.dsecond = b.zeros(shape.members * backward.dsecond_stride);
  backward.partial = b.zeros(shape.members * mlp_blocks(shape) * elements);
  if (shape.width == 64) {
    MlpBackward many = backward;
    many.block = &mapped;
    run("forward, many rows", [&] { resident_mlp_forward(shape, forward, nullptr); });
    run("backward, many rows", [&] { resident_mlp_backward(shape, many, nullptr); });
  }
  run("forward", [&] { mlp_forward(shape, forward, nullptr); });
  run("backward", [&] { mlp_backward(shape, backward, nullptr); });
  run("join", [&] { mlp_join(shape, backward, nullptr); });
}

// Both passes at width 128.
void sliced_ffn(Buffers& b, const MlpShape& shape, const MlpForward& forward,
                SlicedMlpBackward backward) {
  const int64_t rows = shape.members * shape.rows;
  backward.unit = b.halves(rows * shape.width);
  backward.units = b.halves(rows * shape.first_stride / shape.width);
  backward.hidden = b.halves(rows * shape.inner);
  run("forward", [&] { sliced_mlp_forward(shape, forward, nullptr); });
  run("backward", [&] { sliced_mlp_backward(shape, backward, nullptr); });
  const int64_t out = 3 * shape.width;
  if (!sliced_mlp_takes_next(shape, out)) return;
  for (const bool alone : {false, true}) {
    const int64_t columns = alone ? shape.width : out;
    void* const map = alone ? nullptr : b.halves(shape.members * out * shape.width, 0.1);
    const NextMap next{map, out * shape.width, columns, 1e-6f, 0.5f, b.halves(rows * columns)};
    MlpAround around = *forward.block;
    around.next = &next;
    MlpForward taking = forward;
    taking.block = &around;
    const NextMapGradient gradient{.x = forward.out,
                                   .map = map,
                                   .map_stride = out * shape.width,
                                   .out = columns,
                                   .epsilon = 1e-6f,
                                   .dinput = 0.5f,
                                   .dy = b.halves(rows * columns),
                                   .around = alone ? nullptr : b.halves(rows * shape.width),
                                   .dx = b.halves(rows * shape.width),
                                   .unit = alone ? nullptr : b.halves(rows * shape.width)};
    backward.dout = nullptr;
    backward.next = &gradient;
    run(alone ? "forward and norm" : "forward, norm and map",
        [&] { sliced_mlp_forward(shape, taking, nullptr); });
    run(alone ? "norm and backward" : "map, norm and backward",
        [&] { sliced_mlp_backward(shape, backward, nullptr); });
  }
}

void ffn(const FfnCase& c) {
  std::printf("ffn P=%ld rows=%ld %ld x %ld\n", c.members, c.rows, c.width, c.inner);
  Buffers b;
  const int64_t parts = c.curve == Curve::swiglu || c.curve == Curve::geglu ? 2 : 1;
  const int64_t matrix = c.inner * c.width, stream = c.members * c.rows * c.width;
  const MlpShape shape{c.curve, c.members, c.rows, c.width, c.inner, parts * matrix, matrix, 1.0f};
  void *const first = b.halves(c.members * parts * matrix, 0.1),
              *const second = b.halves(c.members * matrix, 0.1),
              *const map = c.map ? b.halves(c.members * c.width * c.width, 0.1) : nullptr,
              *const h = b.halves(stream);
  const MlpAround around{.epsilon = 1e-6f,
                         .f = b.halves(stream),
                         .map = map,
                         .map_stride = c.width * c.width,
                         .map_factor = 0.7f,
                         .skip = 0.8f,
                         .branch = 0.6f,
                         .h = h,
                         .out_skip = 0.9f};
  const MlpForward forward{.x = b.halves(stream),
                           .first = first,
                           .second = second,
                           .first_factor = 0.5f,
                           .activation = 1.7f,
                           .second_factor = 0.3f,
                           .out = b.halves(stream),
                           .block = &around};
  const bool wide = c.width == 128, within = c.map && (wide || mlp_maps_back(shape));
  const MlpAroundGradient gradient{.epsilon = 1e-6f,
                                   .input_gradient = 0.7f,
                                   .out_skip = 0.9f,
                                   .skip = 0.8f,
                                   .branch = 0.5f,
                                   .df = b.halves(stream),
                                   .map = within ? map : nullptr,
                                   .map_stride = c.width * c.width,
                                   .map_factor = 0.7f,
                                   .dmapped = within ? b.halves(stream) : nullptr};
  MlpAroundGradient mapped = gradient;
  mapped.map = map;
  mapped.dmapped = map ? b.halves(stream) : nullptr;
  const auto backward = [&](auto pass) {
    pass.first = first, pass.second = second;
    pass.first_factor = 0.5f, pass.activation = 1.7f;
    pass.dhidden = 0.6f, pass.dinput = 0.25f;
    pass.block = &gradient;
    pass.dout = b.halves(stream), pass.dx = b.halves(stream);
    return pass;
  };
  if (wide)
    sliced_ffn(b, shape, forward, backward(SlicedMlpBackward{.h = h}));
  else
    narrow_ffn(b, shape, forward, backward(MlpBackward{.x = h}), mapped);
}

void norm_and_map(int64_t members, int64_t rows, int64_t width, int64_t out) {
  std::printf("norm and map P=%ld rows=%ld %ld -> %ld\n", members, rows, width, out);
  Buffers b;
  const NormLinearShape shape{members, rows, width, out, out * width, 1e-6f};
  const int64_t stream = members * rows * width;
  void *const x = b.halves(stream), *const matrix = b.halves(members * out * width, 0.1),
              *const y = b.halves(members * rows * out), *const dy = b.halves(members * rows * out),
              *const dh = b.halves(stream), *const dx = b.halves(stream);
  if (width == 128) {
    void* const unit = b.halves(stream);
    run("forward", [&] { wide_norm_linear_forward(shape, x, matrix, 0.5f, y, nullptr); });
    run("backward", [&] {
      wide_norm_linear_backward(shape, x, matrix, {dy, dh, 0.5f, dx, unit}, nullptr);
    });
    return;
  }
  const NormLinearGradient g{.dy = dy,
                             .dh = dh,
                             .input_factor = 0.5f,
                             .matrix_factor = 2.0f,
                             .dx = dx,
                             .dmatrix = b.zeros(members * out * width),
                             .dmatrix_stride = out * width,
                             .partial = b.zeros(members * norm_linear_blocks(shape) * out * width)};
  if (width == 64) {
    run("forward, many rows",
        [&] { resident_norm_linear_forward(shape, x, matrix, 0.5f, y, nullptr); });
    run("backward, many rows",
        [&] { resident_norm_linear_backward(shape, x, matrix, g, nullptr); });
  }
  run("forward", [&] { norm_linear_forward(shape, x, matrix, 0.5f, y, nullptr); });
  run("backward", [&] { norm_linear_backward(shape, x, matrix, g, nullptr); });
  run("join", [&] { norm_linear_join(shape, g, nullptr); });
}

void loss(int64_t members, int64_t rows, int64_t vocabulary, int64_t width, float cap) {
  std::printf("loss P=%ld rows=%ld V=%ld D=%ld\n", members, rows, vocabulary, width);
  Buffers b;
  LinearLoss shape{.members = members,
                   .rows = rows,
                   .vocabulary = vocabulary,
                   .width = width,
                   .weight_stride = vocabulary * width,
                   .forward = 1.0f,
                   .cap = cap};
  plan_linear_loss(shape);
  void *const x = b.halves(members * rows * width),
              *const weight = b.halves(members * vocabulary * width, 0.3),
              *const dx = b.halves(members * rows * width);
  const int64_t* const targets = b.ids(members * rows, vocabulary);
  float *const losses = b.zeros(members * rows), *const lse = b.zeros(members * rows),
               *const gradient = b.zeros(members * vocabulary * width),
               *const space = b.zeros(shape.input_floats()),
               *const parts = b.zeros(shape.weight_floats());
  run("rows",
      [&] { linear_loss_input(shape, x, weight, targets, 1.0f, space, losses, lse, dx, nullptr); });
  run("vocabulary", [&] {
    linear_loss_weight(shape, x, weight, targets, lse, 1.0f, parts, gradient, vocabulary * width,
                       true, nullptr);
  });
}

// Gradients of matrices [out, in] that are sums over the same rows.
void row_sums(int64_t members, int64_t rows, const std::vector<std::pair<int64_t, int64_t>>& all) {
  Buffers b;
  const RowSums sums = row_sums_case(b, members, rows, all);
  if (!fits_row_sums(sums)) fail("[bench] These sums have no kernel.");
  run("sums", [&] { add_row_sums(sums, nullptr); });
}

// Tiles of few and many rows, shared and own slices, the last of everything partly filled.
void check_ffns() {
  for (const bool map : {true, false})
    for (const FfnCase& c : std::vector<FfnCase>{{1, 4096, 64, 192, Curve::swiglu},
                                                 {1, 8200, 64, 192, Curve::swiglu},
                                                 {1, 2200, 64, 72, Curve::gelu},
                                                 {1, 70, 32, 40, Curve::geglu},
                                                 {40, 280, 64, 192, Curve::swiglu},
                                                 {3, 700, 64, 8, Curve::geglu},
                                                 {300, 130, 64, 192, Curve::relu2},
                                                 {1, 70, 128, 64, Curve::swiglu},
                                                 {1, 70, 128, 8, Curve::relu2},
                                                 {1, 4096, 128, 384, Curve::swiglu},
                                                 {1, 70, 128, 1000, Curve::swiglu},
                                                 {30, 154, 128, 200, Curve::swiglu},
                                                 {70, 154, 128, 200, Curve::gelu},
                                                 {70, 154, 128, 384, Curve::swiglu},
                                                 {140, 200, 128, 136, Curve::swiglu},
                                                 {140, 300, 128, 136, Curve::swiglu},
                                                 {270, 70, 128, 72, Curve::gelu}})
      ffn({c.members, c.rows, c.width, c.inner, c.curve, map});
}

void check_maps() {
  norm_and_map(1, 4096, 64, 192);
  norm_and_map(7, 1300, 64, 144);
  norm_and_map(3, 74, 32, 96);
  norm_and_map(2, 154, 128, 384);
  norm_and_map(30, 154, 128, 1000);
  norm_and_map(1, 70, 128, 1000);
  norm_and_map(70, 154, 128, 200);
}

void check_losses() {
  loss(1, 35, 4096, 64, 0.0f);
  loss(33, 140, 500, 64, 0.0f);
  loss(2, 140, 777, 128, 0.0f);
  loss(70, 300, 520, 128, 0.0f);
  loss(2, 140, 300, 48, 4.0f);
  loss(1, 140, 900, 128, 6.0f);
  loss(1, 2, 2, 8, 0.0f);
}

void check_sums() {
  row_sums(1, 1000, {{72, 136}, {128, 8}});
  row_sums(2, 333, {{72, 136}, {8, 72}, {128, 128}});
  row_sums(1, 4096, {{768, 128}, {128, 384}, {128, 128}, {384, 128}});
  row_sums(3, 1, {{64, 64}});
}

void time_all() {
  timed = true;
  for (const int64_t members : {32, 1})
    for (const int64_t width : {64, 128}) {
      ffn({members, 4096, width, 3 * width, Curve::swiglu});
      norm_and_map(members, 4096, width, 3 * width);
      loss(members, 4096, 4096, width, 0.0f);
    }
  row_sums(1, 4096, {{768, 128}, {128, 384}, {128, 128}, {384, 128}});
}

}  // namespace

int main(int argc, char** argv) {
  return run_choice(argc, argv,
                    {{"ffns", check_ffns},
                     {"maps", check_maps},
                     {"losses", check_losses},
                     {"sums", check_sums},
                     {"time", time_all}});
}
