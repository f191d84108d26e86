// The table's gradient: sorted tokens are cut into segments of a warp each, so that a frequent
// token's rows are summed by many warps. A run of one token within a segment goes straight to its
// table row; parts of longer ones are kept by segment and joined in order.
#include "ops/cuda/common.cuh"

namespace rung::cuda {
namespace {

// Rows of a segment, columns of a lane, rows that are on their way at once and threads of a block.
// Where rows are narrow all that a warp takes is waiting: it asks for as many as registers hold, in
// blocks of few warps, one model's on as many multiprocessors as there are.
struct Wide {
  static constexpr int rows = 64, columns = 8, threads = 256;
  template <class T>
  static constexpr int ahead = 4;
};
struct Narrow {
  static constexpr int rows = 32, columns = 4, threads = 64;
  template <class T>
  static constexpr int ahead = 64 / sizeof(T);
};
// Few wide rows: all of a segment's are asked for at once.
struct Few {
  static constexpr int rows = 16, columns = 8, threads = 64;
  template <class T>
  static constexpr int ahead = 32 / sizeof(T);
};
template <class F>
auto with_form(const TableShape& s, const F& f) {
  constexpr int64_t few_rows = 32'768;
  if (s.width <= 32 * Narrow::columns) return f(Narrow());
  return s.members * s.rows <= few_rows ? f(Few()) : f(Wide());
}

// A lane's columns of a row as they lie in memory.
template <class T, int columns>
struct Piece {
  static constexpr int words = columns * static_cast<int>(sizeof(T)) / 4;
  uint32_t word[words];
  __device__ void load(const T* from) {
    if constexpr (words == 2) {
      const uint2 v = *reinterpret_cast<const uint2*>(from);
      word[0] = v.x, word[1] = v.y;
    } else {
#pragma unroll
      for (int i = 0; i < words; i += 4) {
        const uint4 v = reinterpret_cast<const uint4*>(from)[i / 4];
        word[i] = v.x, word[i + 1] = v.y, word[i + 2] = v.z, word[i + 3] = v.w;
      }
    }
  }
  __device__ void add_to(float (&sum)[columns]) const {
#pragma unroll
    for (int k = 0; k < columns; ++k)
      if constexpr (sizeof(T) == 4)
        sum[k] += __uint_as_float(word[k]);
      else
        sum[k] += __uint_as_float(k % 2 ? word[k / 2] & 0xffff0000u : word[k / 2] << 16);
  }
};

template <int columns>
__device__ void store_columns(float* to, const float (&x)[columns]) {
#pragma unroll
  for (int k = 0; k < columns; k += 4)
    *reinterpret_cast<float4*>(to + k) = make_float4(x[k], x[k + 1], x[k + 2], x[k + 3]);
}

struct Runs {
  TableShape s;
  const int64_t *sorted, *order;
  float factor;
  float *gradient, *partial;  // partial [members, segments, 2, width]
  int64_t segments;
};

// A segment of a member's sorted tokens, and this lane's columns.
template <class C>
struct Segment {
  const int64_t* sorted;
  int64_t member, index, first, last;
  int column;
  bool valid, inside;
  __device__ explicit Segment(const Runs& r)
      : sorted(r.sorted + blockIdx.y * r.s.rows),
        member(blockIdx.y),
        index(static_cast<int64_t>(blockIdx.x) * (C::threads / 32) + threadIdx.x / 32),
        first(index * C::rows),
        last(min(first + C::rows, r.s.rows) - 1),
        column((static_cast<int>(blockIdx.z) * 32 + static_cast<int>(threadIdx.x) % 32) *
               C::columns),
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

template <class Segment, int columns>
__device__ void add_to_table(const Runs& r, const Segment& at, int64_t token,
                             const float (&sum)[columns]) {
  float* const to = r.gradient + at.member * r.s.stride + token * r.s.width + at.column;
#if __CUDA_ARCH__ >= 900
  // The only writer of these numbers: an atomic addition because it is not waited for.
#pragma unroll
  for (int k = 0; k < columns; k += 4)
    asm volatile("red.global.add.v4.f32 [%0], {%1, %2, %3, %4};" ::"l"(to + k),
                 "f"(r.factor * sum[k]), "f"(r.factor * sum[k + 1]), "f"(r.factor * sum[k + 2]),
                 "f"(r.factor * sum[k + 3])
                 : "memory");
#else
#pragma unroll
  for (int k = 0; k < columns; ++k) to[k] += r.factor * sum[k];
#endif
}

// Part 0: of a run that comes from the segment before; part 1: of one that begins here and goes on.
template <class T, class C>
__global__ void __launch_bounds__(C::threads) sum_segments(Runs r, const T* dout) {
  constexpr int each = (C::rows + 31) / 32, ahead = C::template ahead<T>, columns = C::columns;
  const Segment<C> at(r);
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
  float sum[columns] = {};
  const auto finish = [&](int end) {
    if (!at.inside) return;
    if (start == 0 && before)
      store_columns(part_of(r, at, at.index, 0), sum);
    else if (end == count - 1 && behind)
      store_columns(part_of(r, at, at.index, 1), sum);
    else
      add_to_table(r, at, token, sum);
  };
#pragma unroll
  for (int part = 0; part < each; ++part)
    for (int first = 0; first < 32; first += ahead) {
      if (32 * part + first >= count) break;
      Piece<T, columns> x[ahead];
#pragma unroll
      for (int i = 0; i < ahead; ++i) {
        const int64_t row = __shfl_sync(0xffffffffu, rows[part], first + i);
        if (at.inside) x[i].load(from + row * r.s.width);
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
          for (int k = 0; k < columns; ++k) sum[k] = 0.0f;
        }
        x[i].add_to(sum);
      }
    }
  finish(count - 1);
}

// Adds the parts that `count` segments have of a run from before them, in order: so many are asked
// for at once as registers hold.
template <class C>
__device__ void add_parts(const Runs& r, const Segment<C>& at, int64_t first, int count,
                          float (&sum)[C::columns]) {
  constexpr int ahead = 64 / C::columns;
  for (int begin = 0; begin < count; begin += ahead) {
    Piece<float, C::columns> x[ahead];
#pragma unroll
    for (int i = 0; i < ahead; ++i)
      if (begin + i < count) x[i].load(part_of(r, at, first + begin + i, 0));
#pragma unroll
    for (int i = 0; i < ahead; ++i)
      if (begin + i < count) x[i].add_to(sum);
  }
}

// The segment where a long run begins joins its parts.
template <class C>
__global__ void __launch_bounds__(C::threads) join_runs(Runs r) {
  const Segment<C> at(r);
  if (!at.valid) return;
  const int64_t token = at.sorted[at.last];
  const bool whole = at.sorted[at.first] == token;
  if (!goes_on_behind(at.sorted, at.last, r.s.rows)) return;
  if (whole && goes_on_before(at.sorted, at.first)) return;  // it began earlier
  float sum[C::columns] = {};
  if (at.inside) {
    Piece<float, C::columns> own;
    own.load(part_of(r, at, at.index, 1));
    own.add_to(sum);
  }
  // Segments that begin with the token: a lane looks at one each.
  for (int64_t begin = at.index + 1; begin < r.segments; begin += 32) {
    const int64_t mine = begin + threadIdx.x % 32;
    const bool same = mine < r.segments && at.sorted[mine * C::rows] == token;
    const int count = __popc(__ballot_sync(0xffffffffu, same));
    if (at.inside) add_parts(r, at, begin, count, sum);
    if (count < 32) break;
  }
  if (at.inside) add_to_table(r, at, token, sum);
}

}  // namespace

int64_t embedding_segments(const TableShape& s) {
  const int64_t each = with_form(s, [](auto form) { return int64_t{decltype(form)::rows}; });
  return (s.rows + each - 1) / each;
}

void embedding_backward(Type type, const TableShape& s, const void* dout, const int64_t* sorted,
                        const int64_t* order, float factor, float* gradient, float* partial,
                        Stream stream) {
  const Runs r{s, sorted, order, factor, gradient, partial, embedding_segments(s)};
  with_form(s, [&](auto form) {
    using C = decltype(form);
    const dim3 grid(blocks_for(r.segments, C::threads / 32), static_cast<unsigned>(s.members),
                    blocks_for(s.width, 32 * C::columns));
    with_type(type, [&](auto* tag) {
      using T = std::remove_pointer_t<decltype(tag)>;
      sum_segments<T, C><<<grid, C::threads, 0, stream>>>(r, static_cast<const T*>(dout));
    });
    check_launch();
    join_runs<C><<<grid, C::threads, 0, stream>>>(r);
    check_launch();
  });
}

}  // namespace rung::cuda
