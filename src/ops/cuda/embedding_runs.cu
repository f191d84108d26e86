// The table's gradient: sorted tokens are cut into segments of a warp each, so that a frequent
// token's rows are summed by many warps. A run of one token within a segment goes straight to its
// table row; parts of longer ones are kept by segment and joined in order.
#include "ops/cuda/common.cuh"

namespace rung::cuda {
namespace {

constexpr int threads = 256, slab = 256;

// Rows of a segment: narrow ones are short, for what they take is the wait for one load after
// another.
int64_t segment_rows_of(int64_t width) {
  return width > 128 ? 64 : 32;
}

struct Runs {
  TableShape s;
  const int64_t *sorted, *order;
  float factor;
  float *gradient, *partial;  // partial [members, segments, 2, width]
  int64_t segments;
};

// A segment of a member's sorted tokens, and this lane's eight columns.
template <int segment_rows>
struct Segment {
  const int64_t* sorted;
  int64_t member, index, first, last;
  int column;
  bool valid, inside;
  __device__ explicit Segment(const Runs& r)
      : sorted(r.sorted + blockIdx.y * r.s.rows),
        member(blockIdx.y),
        index(static_cast<int64_t>(blockIdx.x) * (threads / 32) + threadIdx.x / 32),
        first(index * segment_rows),
        last(min(first + segment_rows, r.s.rows) - 1),
        column(static_cast<int>(blockIdx.z) * slab + static_cast<int>(threadIdx.x) % 32 * 8),
        valid(index < r.segments),
        inside(column < r.s.width) {}
};

// Whether the run at a segment's edge goes on beyond it.
__device__ bool goes_on_before(const int64_t* sorted, int64_t first) {
  return first > 0 && sorted[first - 1] == sorted[first];
}
__device__ bool goes_on_behind(const int64_t* sorted, int64_t last, int64_t rows) {
  return last + 1 < rows && sorted[last + 1] == sorted[last];
}

template <class Segment>
__device__ float* part_of(const Runs& r, const Segment& at, int64_t segment, int which) {
  return r.partial + ((at.member * r.segments + segment) * 2 + which) * r.s.width + at.column;
}

template <class Segment>
__device__ void add_to_table(const Runs& r, const Segment& at, int64_t token,
                             const float (&sum)[8]) {
  float* const to = r.gradient + at.member * r.s.stride + token * r.s.width + at.column;
#if __CUDA_ARCH__ >= 900
  // The only writer of these numbers: an atomic addition because it is not waited for.
#pragma unroll
  for (int k = 0; k < 8; k += 4)
    asm volatile("red.global.add.v4.f32 [%0], {%1, %2, %3, %4};" ::"l"(to + k),
                 "f"(r.factor * sum[k]), "f"(r.factor * sum[k + 1]), "f"(r.factor * sum[k + 2]),
                 "f"(r.factor * sum[k + 3])
                 : "memory");
#else
  float old[8];
  load8(to, old);
#pragma unroll
  for (int k = 0; k < 8; ++k) old[k] += r.factor * sum[k];
  store8(to, old);
#endif
}

// Part 0: of a run that comes from the segment before; part 1: of one that begins here and goes on.
template <class T, int segment_rows>
__global__ void __launch_bounds__(threads) sum_segments(Runs r, const T* dout) {
  constexpr int each = segment_rows / 32, ahead = 8 / each;
  const Segment<segment_rows> at(r);
  if (!at.valid) return;
  const T* const from = dout + at.member * r.s.rows * r.s.width + at.column;
  const bool before = goes_on_before(at.sorted, at.first),
             behind = goes_on_behind(at.sorted, at.last, r.s.rows);
  int tokens[each], rows[each];  // row i of the segment in lane i % 32
#pragma unroll
  for (int i = 0; i < each; ++i) {
    const int64_t mine = min(at.first + 32 * i + threadIdx.x % 32, at.last);
    tokens[i] = static_cast<int>(at.sorted[mine]);
    rows[i] = static_cast<int>(r.order[at.member * r.s.rows + mine]);
  }
  const int count = static_cast<int>(at.last - at.first) + 1;
  int token = __shfl_sync(0xffffffffu, tokens[0], 0), start = 0;
  float sum[8] = {};
  const auto finish = [&](int end) {
    if (!at.inside) return;
    if (start == 0 && before)
      store8(part_of(r, at, at.index, 0), sum);
    else if (end == count - 1 && behind)
      store8(part_of(r, at, at.index, 1), sum);
    else
      add_to_table(r, at, token, sum);
  };
#pragma unroll
  for (int part = 0; part < each; ++part)
    for (int first = 0; first < 32; first += ahead) {
      if (32 * part + first >= count) break;
      float x[ahead][8];
#pragma unroll
      for (int i = 0; i < ahead; ++i) {
        const int64_t row = __shfl_sync(0xffffffffu, rows[part], first + i);
        if (at.inside) load8(from + row * r.s.width, x[i]);
      }
#pragma unroll
      for (int i = 0; i < ahead; ++i) {
        const int place = 32 * part + first + i;
        const int here = __shfl_sync(0xffffffffu, tokens[part], first + i);
        if (place >= count) continue;
        if (here != token) {
          finish(place - 1);
          token = here, start = place;
#pragma unroll
          for (int k = 0; k < 8; ++k) sum[k] = 0.0f;
        }
#pragma unroll
        for (int k = 0; k < 8; ++k) sum[k] += x[i][k];
      }
    }
  finish(count - 1);
}

// The segment where a long run begins joins its parts.
template <int segment_rows>
__global__ void __launch_bounds__(threads) join_runs(Runs r) {
  const Segment<segment_rows> at(r);
  if (!at.valid) return;
  const int64_t token = at.sorted[at.last];
  const bool whole = at.sorted[at.first] == token;
  if (!goes_on_behind(at.sorted, at.last, r.s.rows)) return;
  if (whole && goes_on_before(at.sorted, at.first)) return;  // it began earlier
  float sum[8] = {};
  if (at.inside) load8(part_of(r, at, at.index, 1), sum);
  // Segments that begin with the token: a lane looks at one each.
  for (int64_t begin = at.index + 1; begin < r.segments; begin += 32) {
    const int64_t mine = begin + threadIdx.x % 32;
    const bool same = mine < r.segments && at.sorted[mine * segment_rows] == token;
    const int count = __popc(__ballot_sync(0xffffffffu, same));
    if (at.inside)
#pragma unroll 8
      for (int i = 0; i < count; ++i) {
        float more[8];
        load8(part_of(r, at, begin + i, 0), more);
#pragma unroll
        for (int k = 0; k < 8; ++k) sum[k] += more[k];
      }
    if (count < 32) break;
  }
  if (at.inside) add_to_table(r, at, token, sum);
}

}  // namespace

int64_t embedding_segments(const TableShape& s) {
  const int64_t each = segment_rows_of(s.width);
  return (s.rows + each - 1) / each;
}

void embedding_backward(Type type, const TableShape& s, const void* dout, const int64_t* sorted,
                        const int64_t* order, float factor, float* gradient, float* partial,
                        Stream stream) {
  const Runs r{s, sorted, order, factor, gradient, partial, embedding_segments(s)};
  const dim3 grid(blocks_for(r.segments, threads / 32), static_cast<unsigned>(s.members),
                  blocks_for(s.width, slab));
  const auto go = [&](auto rows) {
    constexpr int each = decltype(rows)::value;
    with_type(type, [&](auto* tag) {
      using T = std::remove_pointer_t<decltype(tag)>;
      sum_segments<T, each><<<grid, threads, 0, stream>>>(r, static_cast<const T*>(dout));
    });
    check_launch();
    join_runs<each><<<grid, threads, 0, stream>>>(r);
    check_launch();
  };
  if (segment_rows_of(s.width) == 32)
    go(std::integral_constant<int, 32>());
  else
    go(std::integral_constant<int, 64>());
}

}  // namespace rung::cuda
