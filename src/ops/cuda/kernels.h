// Fused CUDA kernels with the member axis, on plain pointers: P members of `rows` rows each, rows
// contiguous, arithmetic and statistics in fp32, no atomics, fixed summation order that does not
// depend on P (but for matrices' gradients in mlp.h and norm_linear.h). Every launcher only
// enqueues on `stream`, so a CUDA graph can capture it. The twins in src/ops/*.cpp say what each
// computes.
#pragma once
#include <cstdint>

#include "ops/moments.h"
#include "ops/rounding.h"

struct CUstream_st;

namespace rung::cuda {

using Stream = CUstream_st*;

// The element type behind a void pointer.
enum class Type { f32, bf16 };

// Widths that the vector kernels take: multiples of 8 up to this.
constexpr int64_t max_norm_width = 4096;

struct NormShape {
  int64_t members, rows, width;
  float epsilon;
  bool center;          // LayerNorm subtracts the mean
  int64_t gain_stride;  // elements between members' gains
};
// h = skip x + branch f (f may be null: h = x, not written); y = (h - mean) rstd gain (gain may be
// null). mean (unused unless center) and rstd are [members, rows].
void add_norm_forward(Type type, const NormShape& shape, const void* x, const void* f, float skip,
                      float branch, const void* gain, void* h, void* y, float* mean, float* rstd,
                      Stream stream);

struct NormGradient {
  const void* dy;
  const void* dh;  // gradient of h from elsewhere; may be null
  float dh_factor = 1.0f;
  float input_gradient;  // factor on the gradient through the norm
  float skip, branch;    // dx = skip total, df = branch total
  void* dx;
  void* df;              // may be null
  float* dgain;          // [members, ..] to add to; may be null
  int64_t dgain_stride;  // elements between members' gains
  float* partial;        // [members, norm_blocks(shape), width] when dgain is given
};
int64_t norm_blocks(const NormShape& shape);
// mean may be null: zeros.
void norm_backward(Type type, const NormShape& shape, const void* h, const float* mean,
                   const float* rstd, const void* gain, const NormGradient& gradient,
                   Stream stream);

enum class Curve { swiglu, geglu, gelu, relu2 };
// out = scale curve(input); gated curves read rows [gate | up], each `width` long, and width is a
// multiple of 8. Backward: dinput = scale curve'(input) dout.
void activation_forward(Type type, Curve curve, int64_t rows, int64_t width, const void* input,
                        float slope, float scale, void* out, Stream stream);
void activation_backward(Type type, Curve curve, int64_t rows, int64_t width, const void* input,
                         const void* dout, float slope, float scale, void* dinput, Stream stream);

struct RopeShape {
  int64_t sequences, time, heads, kv_heads, head_dim;  // head_dim a multiple of 8
  int64_t fast;  // pairs of a key that are its own; the others are the position before's
};
// Packed rows [q heads | k kv_heads | v kv_heads]: rotates q and k (tables [time, head_dim / 2],
// null: no rotation) and multiplies v by `value`.
void rope_forward(Type type, const RopeShape& shape, const void* qkv, const float* cosine,
                  const float* sine, float value, void* out, Stream stream);
// q and k where they lie, keys not offset; v as it is.
void rope_in_place(Type type, const RopeShape& shape, void* qkv, const float* cosine,
                   const float* sine, Stream stream);
// From gradients of the rotated q [.., heads, d], k and v to that of the packed rows:
// dq and dk rotated back times `qk`, dv times `value`.
void rope_backward(Type type, const RopeShape& shape, const void* dq, const void* dk,
                   const void* dv, const float* cosine, const float* sine, float qk, float value,
                   void* dqkv, Stream stream);

struct LossShape {
  int64_t members, rows, vocabulary;
  int64_t target_stride, loss_stride;  // elements between members
};
// Per row of logits [members, rows, vocabulary]: loss = lse - logit of target; logits become scale
// (softmax - onehot) unless scale is 0.
void cross_entropy(Type type, const LossShape& shape, void* logits, const int64_t* targets,
                   float scale, float* loss, Stream stream);

struct TableShape {
  int64_t members, rows, width;  // width a multiple of 8
  int64_t stride;                // elements between members' tables
};
// out [members, rows, width] = factor * table[token].
void embedding_forward(Type type, const TableShape& shape, const void* table, const int64_t* tokens,
                       float factor, void* out, Stream stream);
// Tokens [members, rows] sorted within a member, and the rows they come from, in order where tokens
// are equal.
bool fits_sort_tokens(int64_t rows, int64_t vocabulary);
void sort_tokens(int64_t members, int64_t rows, const int64_t* tokens, int64_t* sorted,
                 int64_t* order, Stream stream);
// gradient[token] += factor * sum of dout rows, `sorted` tokens with their row numbers `order`;
// partial [members, embedding_segments(shape), 2, width] is scratch.
int64_t embedding_segments(const TableShape& shape);
void embedding_backward(Type type, const TableShape& shape, const void* dout, const int64_t* sorted,
                        const int64_t* order, float factor, float* gradient, float* partial,
                        Stream stream);

struct ConvShape {
  int64_t members, batch, time, channels;  // channels a multiple of 8
  int64_t size;                            // steps that a filter sees, up to max_conv_size
};
constexpr int64_t max_conv_size = 4;
// y = silu(bias + causal depthwise convolution of x), x [members, batch, time, channels], filter
// [members, size, channels], bias [members, channels].
void conv_silu_forward(Type type, const ConvShape& shape, const void* x, const float* filter,
                       const float* bias, void* y, Stream stream);
// dz [like x] is scratch; partial [members, conv_parts(shape), size + 1, channels] receives sums of
// the gradients of the filter and, last, of the bias.
int64_t conv_parts(const ConvShape& shape);
void conv_silu_backward(Type type, const ConvShape& shape, const void* x, const float* filter,
                        const float* bias, const void* dy, void* dz, void* dx, float* partial,
                        Stream stream);

struct SmallMapShape {
  int64_t members, rows, blocks;  // rows of blocks of four channels
};
// y_g = W_g x_g for blocks of 4 x 4, weight [members, blocks, 4 (out), 4 (in)].
void small_map_forward(Type type, const SmallMapShape& shape, const void* x, const float* weight,
                       void* y, Stream stream);
// partial [members, small_map_parts(shape), blocks, 16]: sums of the weight's gradient.
int64_t small_map_parts(const SmallMapShape& shape);
void small_map_backward(Type type, const SmallMapShape& shape, const void* x, const float* weight,
                        const void* dy, void* dx, float* partial, Stream stream);

struct CellShape {
  int64_t members, batch, time, heads, size;  // size: units of a head, up to max_cell_size
};
constexpr int64_t max_cell_size = 256;
// sLSTM from a fresh state. x [members, batch, time, heads, 4, size]; recurrent [members, heads, 4
// size, size] and its transpose by head. Receives y [members, batch, time, heads, size], the slots
// [like x] and the memory c, n, m [like y] of every step.
void slstm_forward(Type type, const CellShape& shape, const void* x, const float* transposed,
                   void* y, float* slots, float* c, float* n, float* m, Stream stream);
// dx [like x] from dy and what the forward pass kept.
void slstm_backward(Type type, const CellShape& shape, const float* recurrent, const float* slots,
                    const float* c, const float* n, const float* m, const void* dy, void* dx,
                    Stream stream);

struct InterpolateShape {
  int64_t rows, keys, count;  // positions 0 to count - 1 of a row's table
};
// out = table at fractional positions p that do not rise along the keys: table [rows, count], p and
// out [rows, keys].
void interpolate_forward(const InterpolateShape& shape, const float* table, const float* p,
                         float* out, Stream stream);
void interpolate_backward(const InterpolateShape& shape, const float* table, const float* p,
                          const float* dout, float* dtable, float* dp, Stream stream);

struct GroupedShape {
  int64_t members, rows, groups, in, out;
  int64_t group_stride, member_stride;  // elements between the matrices, and between members'
};
// Rows [members, rows, ..] sorted by group, of which group g of a member has rows ends[g] to
// ends[g + 1] (ends [members, groups + 1]); matrices [out, in].
// y = factor x W_g^T.
void grouped_forward(Type type, const GroupedShape& shape, const int* ends, const void* x,
                     const void* weight, float factor, void* y, Stream stream);
// dx = factor dy W_g.
void grouped_input_gradient(Type type, const GroupedShape& shape, const int* ends, const void* dy,
                            const void* weight, float factor, void* dx, Stream stream);
// gradient_g += factor dy^T x; the strides are the gradient's.
void grouped_weight_gradient(Type type, const GroupedShape& shape, const int* ends, const void* x,
                             const void* dy, float factor, float* gradient, Stream stream);

struct PickShape {
  int64_t members, rows, picks, width;  // rows that pick from a table [members, .., width]
  int64_t stride;                       // elements between members' tables
};
// a[row, pick] = factor <x[row], table[index[row, pick]]>.
void pick_dots(Type type, const PickShape& shape, const void* table, const int64_t* index,
               const void* x, float factor, void* a, Stream stream);
// y[row] = factor sum over picks of w[row, pick] table[index[row, pick]].
void pick_sum(Type type, const PickShape& shape, const void* table, const int64_t* index,
              const void* w, float factor, void* y, Stream stream);
// gradient[index] += factor w x[row], summed over what picked it: `sorted` indices [members, rows
// picks] with their places `order`, row * picks + pick.
void pick_add(Type type, const PickShape& shape, const int64_t* sorted, const int64_t* order,
              const void* w, const void* x, float factor, float* gradient, Stream stream);

// out [rows, count]: the sums of d [rows, picks] by index; what a gather's gradient is.
void spread_sums(int64_t rows, int64_t count, int64_t picks, const int64_t* index, const float* d,
                 float* out, Stream stream);

// `size` numbers a member, in rows of `width` of which every `block` share a scale.
struct GroupShape {
  int64_t members, size, width, block;
};
// y = round(x scale) / scale. scales [members, rows, groups of a row]; null: `fixed` for all.
void quantise(Type type, const GroupShape& shape, const Rounding& rounding, const float* scales,
              float fixed, const void* x, void* y, Stream stream);

// A member's matrix [rows, columns], both multiples of 16, `stride` apart.
struct Fp8Shape {
  int64_t members, rows, columns, stride;
  bool e5m2;  // else E4M3
  float scale;
  float factor = 1.0f;  // on x, which is rounded to its type before it is scaled
};
// Codes of factor x scale, saturating: y [members, rows, columns] and [members, columns, rows];
// either null.
void cast_fp8(Type type, const Fp8Shape& shape, const void* x, void* y, void* transposed,
              Stream stream);

// Codes [rows, columns] of each member, `stride` apart, transposed: to [members, columns, rows].
void turn_fp8(const Fp8Shape& shape, const void* codes, void* transposed, Stream stream);

// Gradients of an arena, [members, ...]: all in fp32 as they lie in it, or those of some units
// of 128 elements in bf16 (ops/gradient_arena.h). Strides are elements of a member.
struct ArenaGradients {
  const float* wide;
  int64_t wide_stride;
  const void* half = nullptr;
  int64_t half_stride = 0;
  const int* places = nullptr;  // null: all lie in `wide`
};

struct AdamShape {
  int64_t members, size;  // elements of a member; a multiple of 128
  int64_t begin, end;     // of them, in whole units of 128: those that move
};
// What a step's passes multiply by: new weights rounded to bf16, [members, size], may be null; of
// units whose slot names a scale their codes in E4M3 instead, rounded to bf16 first, where there
// are codes.
struct ComputeCopy {
  void* half;
  uint8_t* codes = nullptr;
};
// AdamW over an arena. slots [size / 128, 4]: C, decay and epsilon factors of each unit, and its
// codes' scale or 0; hyper [members, 8] as optim/optimizer.h orders it; alive [members] (null: all)
// freezes members; keys [members] are of the draws that round moments in fewer bits (null: to the
// nearest).
void adamw(const AdamShape& shape, const float* slots, const float* hyper, const int* alive,
           const ArenaGradients& gradient, float* weight, const SmallMoments& moments,
           const uint64_t* keys, const ComputeCopy& compute, Stream stream);

// What the host hands over for every member and step, after the optimizer's hyperparameters.
// The key, of 64 bits, lies in the place of two floats.
enum Control : int { control_clip = 8, control_running, control_key, control_count = 12 };
// What the device hands back.
enum Result : int { result_loss, result_norm, result_alive, result_count = 4 };
// Steps that are under way take turns with `slots` places: what the host hands over for a step lies
// `stride` bytes behind that of the one before, and turn [members] counts steps.
struct Turns {
  unsigned* turn;
  unsigned slots;
  int64_t stride;
};
struct Finish {
  int64_t members, size, rows;
  ArenaGradients gradient;  // of `size` elements a member
  const float* losses;      // [members, rows]
  Turns turns;
  const float* control;      // [members, control_count] of the first slot
  double* partial;           // [members, finish_blocks(size), 2], scratch
  unsigned* ended;           // [members], zeros before and after
  int* alive;                // [members], sticky
  float* hyper;              // [members, 8]
  float* result;             // [slots, members, result_count]; the host's memory will do
  uint64_t* keys = nullptr;  // [members]; null: nobody rounds by draws
};
int64_t finish_blocks(int64_t size);
// Loss, gradient norm, clip scale and the finite check of every member; ends its turn.
void finish_step(const Finish& finish, Stream stream);

// Numbers to clear: `size` of each member's, a multiple of 4, from `begin` on, aligned to 16 bytes.
struct ClearedRun {
  float* begin = nullptr;
  int64_t size = 0, stride = 0;  // elements between members
};
// windows [members, sequences, time + 1] of this turn -> tokens and targets [members, count, time]
// of the sequences from `begin` on; `zeros` are cleared by the way.
void split_windows(int64_t members, int64_t sequences, int64_t time, int64_t begin, int64_t count,
                   const Turns& turns, const int32_t* windows, int64_t* tokens, int64_t* targets,
                   const ClearedRun& zeros, Stream stream);

// fp32 -> bf16.
void round_to_bf16(int64_t size, const float* from, void* to, Stream stream);

// Throws rung::Error with CUDA's own message.
[[noreturn]] void launch_failed(const char* message);

}  // namespace rung::cuda
