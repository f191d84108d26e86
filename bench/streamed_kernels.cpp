// The kernels of width 256 and wide models' loss alone, on one stream and in allocations of their
// own, for sanitizers and a quick look: `streamed_kernels ffns|losses|powers|gradients` runs these
// at shapes that reach all of their forms (compute-sanitizer --tool memcheck|racecheck),
// `streamed_kernels time` takes their times. That what they give is right is tests/ops's to say.
#include <cuda_runtime_api.h>

#include <cstdio>
#include <utility>
#include <vector>

#include "device_buffers.h"
#include "kernel_runs.h"
#include "ops/cuda/hopper/many_rows.h"
#include "ops/cuda/hopper/powers_loss.h"
#include "ops/cuda/hopper/streamed_loss.h"
#include "ops/cuda/hopper/streamed_mlp.h"
#include "row_sums_case.h"

using namespace rung;
using namespace rung::cuda;

namespace {

constexpr int64_t width = 256;
void ffn(int64_t members, int64_t rows, int64_t inner, Curve curve, bool mapped, bool kept = true) {
  std::printf("ffn P=%ld rows=%ld inner=%ld map=%d\n", members, rows, inner, mapped);
  Buffers b;
  const int64_t parts = curve == Curve::swiglu || curve == Curve::geglu ? 2 : 1;
  const int64_t matrix = inner * width, stream = members * rows * width;
  const MlpShape shape{curve, members, rows, width, inner, parts * matrix, matrix, 1.0f};
  void *const first = b.halves(members * parts * matrix, 0.1),
              *const second = b.halves(members * matrix, 0.1),
              *const map = b.halves(members * width * width, 0.1), *const h = b.halves(stream);
  const MlpAround around{.epsilon = 1e-6f,
                         .f = mapped ? b.halves(stream) : nullptr,
                         .map = mapped ? map : nullptr,
                         .map_stride = width * width,
                         .map_factor = 0.7f,
                         .skip = 0.8f,
                         .branch = 0.6f,
                         .h = mapped ? h : nullptr,
                         .out_skip = 0.9f};
  const MlpForward forward{.x = b.halves(stream),
                           .first = first,
                           .second = second,
                           .first_factor = 0.5f,
                           .activation = 1.7f,
                           .second_factor = 0.3f,
                           .out = b.halves(stream),
                           .block = &around};
  run("forward", [&] { streamed_mlp_forward(shape, forward, nullptr); });
  constexpr int64_t outputs = 3 * width;
  const NextMap next{.map = b.halves(members * outputs * width, 0.1),
                     .map_stride = outputs * width,
                     .out = outputs,
                     .epsilon = 1e-6f,
                     .factor = 0.5f,
                     .y = b.halves(members * rows * outputs)};
  MlpAround followed = around;
  followed.next = &next;
  MlpForward longer = forward;
  longer.block = &followed;
  run("forward, next norm, map", [&] { streamed_mlp_forward(shape, longer, nullptr); });
  NextMap norm_alone = next;
  norm_alone.map = nullptr, norm_alone.out = width;
  followed.next = &norm_alone;
  run("forward, next norm", [&] { streamed_mlp_forward(shape, longer, nullptr); });
  const MlpAroundGradient gradient{.epsilon = 1e-6f,
                                   .input_gradient = 0.7f,
                                   .out_skip = 0.9f,
                                   .skip = 0.8f,
                                   .branch = 0.5f,
                                   .df = nullptr,
                                   .map = mapped ? map : nullptr,
                                   .map_stride = width * width,
                                   .map_factor = 0.7f,
                                   .dmapped = mapped ? b.halves(stream) : nullptr};
  const SlicedMlpBackward backward{
      .h = h,
      .first = first,
      .second = second,
      .dout = b.halves(stream),
      .first_factor = 0.5f,
      .activation = 1.7f,
      .dhidden = 0.6f,
      .dinput = 0.25f,
      .block = &gradient,
      .dx = b.halves(stream),
      .unit = kept ? b.halves(stream) : nullptr,
      .units = kept ? b.halves(members * rows * parts * inner) : nullptr,
      .hidden = kept ? b.halves(members * rows * inner) : nullptr};
  run("backward", [&] { streamed_mlp_backward(shape, backward, nullptr); });
  const NextMapGradient through{.x = h,
                                .map = next.map,
                                .map_stride = outputs * width,
                                .out = outputs,
                                .epsilon = 1e-6f,
                                .dinput = 0.4f,
                                .dy = b.halves(members * rows * outputs),
                                .around = kept ? b.halves(stream) : nullptr,
                                .dx = b.halves(stream),
                                .unit = kept ? b.halves(stream) : nullptr};
  SlicedMlpBackward longer_back = backward;
  longer_back.next = &through;
  run("backward, next norm, map", [&] { streamed_mlp_backward(shape, longer_back, nullptr); });
  NextMapGradient alone = through;
  alone.map = nullptr, alone.out = width;
  longer_back.next = &alone;
  run("backward, next norm", [&] { streamed_mlp_backward(shape, longer_back, nullptr); });
}

void loss(int64_t members, int64_t rows, int64_t vocabulary, double size) {
  std::printf("loss P=%ld rows=%ld V=%ld\n", members, rows, vocabulary);
  Buffers b;
  const StreamedLoss shape{.members = members,
                           .rows = rows,
                           .vocabulary = vocabulary,
                           .row_stride = rows * width,
                           .weight_stride = vocabulary * width,
                           .target_stride = rows,
                           .loss_stride = rows,
                           .forward = 1.0f};
  void *const x = b.halves(members * rows * width),
              *const weight = b.halves(members * vocabulary * width, size),
              *const dx = b.halves(members * rows * width),
              *const share = b.halves(members * rows * width),
              *const q = b.halves(members * rows * vocabulary);
  const int64_t* const targets = b.ids(members * rows, vocabulary);
  float* const losses = b.zeros(members * rows);
  run("losses and gradients",
      [&] { streamed_loss(shape, x, weight, targets, 1.0f, losses, dx, q, share, nullptr); });
  run("losses", [&] {
    streamed_loss(shape, x, weight, targets, 1.0f, losses, nullptr, nullptr, nullptr, nullptr);
  });
}

void gradients(int64_t members, int64_t rows,
               const std::vector<std::pair<int64_t, int64_t>>& matrices) {
  Buffers b;
  const RowSums sums = row_sums_case(b, members, rows, matrices);
  float* const space = b.zeros(many_row_sums_space(sums));
  run("matrices' gradients", [&] { add_many_row_sums(sums, space, nullptr); });
}

void wide(int64_t members, int64_t rows, int64_t columns, int64_t vocabulary, double size) {
  std::printf("wide loss P=%ld rows=%ld D=%ld V=%ld\n", members, rows, columns, vocabulary);
  Buffers b;
  PowersLoss shape{.members = members,
                   .rows = rows,
                   .vocabulary = vocabulary,
                   .width = columns,
                   .row_stride = rows * columns,
                   .weight_stride = vocabulary * columns,
                   .target_stride = rows,
                   .loss_stride = rows,
                   .forward = 1.0f};
  plan_powers_loss(shape);
  PowersSums sums{.x = b.halves(members * rows * columns),
                  .weight = b.halves(members * vocabulary * columns, size),
                  .targets = b.ids(members * rows, vocabulary),
                  .q = b.halves(members * rows * vocabulary),
                  .totals = b.zeros(members * rows * shape.parts),
                  .hits = b.zeros(members * rows)};
  const PowersJoin join{.factor = 1.0f,
                        .loss = b.zeros(members * rows),
                        .scale = b.zeros(members * rows),
                        .share = b.halves(members * rows * columns)};
  void* const dx = b.halves(members * rows * columns);
  run("powers", [&] { powers_product(shape, sums, nullptr); });
  run("what follows", [&] { powers_join(shape, sums, join, nullptr); });
  run("rows' scales", [&] { powers_scale(shape, join.scale, dx, nullptr); });
  sums.q = nullptr;
  run("losses", [&] {
    powers_product(shape, sums, nullptr);
    powers_join(shape, sums, join, nullptr);
  });
}

// The last of everything partly filled.
void check_ffns() {
  for (const bool mapped : {true, false})
    for (const Curve curve : {Curve::swiglu, Curve::geglu, Curve::gelu, Curve::relu2}) {
      ffn(2, 300, 72, curve, mapped);
      ffn(1, 130, 8, curve, mapped, false);
    }
}
void check_losses() {
  loss(1, 300, 520, 0.2);
  loss(2, 130, 264, 30.0);   // references move
  loss(1, 200, 1000, 30.0);  // and what has been written of q with them
  loss(1, 100, 8, 0.1);
}
void check_powers() {
  wide(1, 300, 512, 1032, 0.1);
  wide(2, 130, 768, 264, 0.1);
  wide(1, 600, 1024, 520, 30.0);  // rows are made again
}

void check_gradients() {
  gradients(1, 300, {{264, 256}, {8, 264}});
  gradients(2, 1000, {{128, 256}, {256, 512}, {72, 8}, {136, 256}});
}
void time_all() {
  timed = true;
  gradients(1, 16384, {{1536, width}, {width, 768}, {width, width}, {768, width}});
  for (const int64_t members : {1, 8}) {
    for (const bool mapped : {true, false}) ffn(members, 16384, 768, Curve::swiglu, mapped);
    loss(members, 16384 / members, 8192, 0.1);
  }
  wide(1, 32768, 512, 32768, 0.1);
  wide(1, 16384, 768, 50304, 0.1);
}

}  // namespace

int main(int argc, char** argv) {
  return run_choice(argc, argv,
                    {{"ffns", check_ffns},
                     {"losses", check_losses},
                     {"powers", check_powers},
                     {"gradients", check_gradients},
                     {"time", time_all}});
}
