#include "ops/cuda/device.h"
#include "ops/cuda/hopper/wide_heads_numbers.cuh"
#include "ops/cuda/hopper/wide_heads_sums.cuh"

namespace rung::cuda {
namespace {

// By one thread: an item's own rows, its tiles as room comes free, and, when the item before is
// done with its own, the angles.
__device__ void bring_item(const WideRoom& room, const WideMaps& maps, const WideWork& work,
                           const WideItem& item, bool keys, uint32_t phase, WidePlace& at,
                           OutPlace& out) {
  const int heads = work.heads, q = item.head, k = heads + item.head, v = 2 * heads + item.head;
  const int halves = min(2, work.tiles - 2 * item.block);
  const int numbers = work.made ? 512 : wide_panel;  // bytes that queries' come from
  announce(room.own_full(), halves * (2 * wide_panel + (keys ? 0 : numbers)));
  for (int h = 0; h < halves; ++h) {
    const int own = 2 * item.block + h, row = own * wide_tile;
    const uint32_t to = room.own_rows(h);
    copy_box(to, maps.qkv, room.own_full(), 0, row, keys ? k : q, item.sequence);
    if (keys) {
      copy_box(to + wide_panel, maps.qkv, room.own_full(), 0, row, v, item.sequence);
      continue;
    }
    copy_box(to + wide_panel, maps.dout, room.own_full(), 0, row, q, item.sequence);
    if (work.made)
      copy_flat(room.own_numbers(h), item.made(work, own), 512, room.own_full());
    else
      copy_box(room.out(h), maps.out, room.own_full(), 0, row, q, item.sequence);
  }
  const int count = item.tiles(work, keys);
  for (int i = 0; i < count; ++i) {
    const int tile = item.tile(work, keys, i), row = tile * wide_tile;
    const uint32_t full = room.full(at.stage), to = room.tile(at.stage);
    wait_barrier(room.empty(at.stage), at.phase ^ 1);
    announce(full, 2 * wide_panel + (keys ? numbers : 0));
    copy_box(to, maps.qkv, full, 0, row, keys ? q : k, item.sequence);
    if (!keys) {
      copy_box(to + wide_panel, maps.qkv, full, 0, row, v, item.sequence);
    } else {
      copy_box(to + wide_panel, maps.dout, full, 0, row, q, item.sequence);
      if (work.made) {
        copy_flat(room.numbers(at.stage), item.made(work, tile), 512, full);
      } else {
        wait_barrier(room.out_empty(out.stage), out.phase ^ 1);
        copy_box(room.out(out.stage), maps.out, full, 0, row, q, item.sequence);
        out.next();
      }
    }
    at.next();
  }
  if (!work.turns) return;
  wait_barrier(room.angles_empty(), phase ^ 1);
  announce(room.angles_full(), halves * 2 * wide_panel);
  for (int h = 0; h < halves; ++h) {
    const int row = (2 * item.block + h) * wide_tile;
    copy_box(room.own_angles(h), maps.cosine, room.angles_full(), 0, row, 0, 0);
    copy_box(room.own_angles(h) + wide_panel, maps.sine, room.angles_full(), 0, row, 0, 0);
  }
}

__device__ void bring_all(const WideRoom& room, const WideMaps& maps, const WideWork& work,
                          const WideShare& share) {
  WidePlace at;
  OutPlace out;
  unsigned number = share.late ? share.take(work) : share.first;
  for (uint32_t phase = 0;; phase ^= 1) {
    const unsigned next = share.take(work);  // early: the answer takes a while
    const WideItem item(work, number, share.keys);
    wait_barrier(room.own_empty(), phase ^ 1);
    item.store(room.item(), number < work.items);
    if (number >= work.items) break;
    bring_item(room, maps, work, item, share.keys, phase, at, out);
    number = next;
  }
  arrive(room.own_full());
  WideShare::end(work);
}

template <bool of_keys>
__device__ __forceinline__ void wide_items(WideGroup<of_keys> group) {
  // The first half of keys and the second of queries have a tile more: groups take turns.
#pragma unroll 1
  for (;; group.phase ^= 1, group.half ^= 1) {
    wait_barrier(group.room.own_full(), group.phase);
    WideItem item;
    if (!item.load(group.room.item())) break;
    wide_gradients<of_keys>(group, item);
  }
}

__global__ void __launch_bounds__(wide_threads, 1)
    wide_backward(WideWork work, WideFactors factors, const __grid_constant__ WideMaps maps) {
  extern __shared__ unsigned char shared[];
  const WideRoom room{(shared_address(shared) + 1023) / 1024 * 1024};
  const int warp = __shfl_sync(0xffffffffu, threadIdx.x / 32, 0), lane = threadIdx.x % 32;
  const WideShare share(work);
  if (threadIdx.x == 0) {
    room.start(share.keys, work.made);
    show_barriers();
  }
  __syncthreads();
  if (warp >= wide_users) {
    asm volatile("setmaxnreg.dec.sync.aligned.u32 40;");
    if (threadIdx.x == 32 * wide_users) bring_all(room, maps, work, share);
    const int helper = warp - wide_users - 1;
    if (!work.made && helper >= 0 && helper < wide_helpers)
      number_all(room, work, share.keys, helper, lane);
  } else {
    asm volatile("setmaxnreg.inc.sync.aligned.u32 232;");
    const int group = warp / 4;
    if (share.keys)
      wide_items<true>({room, maps, work, factors, group, warp % 4, lane, group, 0, {}});
    else
      wide_items<false>({room, maps, work, factors, group, warp % 4, lane, group, 0, {}});
    // Shared memory is read until here.
    if (lane == 0) wait_written();
  }
}

__global__ void __launch_bounds__(256)
    wide_numbers(WideWork work, const bf16* out, const bf16* dout, float* to) {
  make_numbers(work, out, dout, to);
}

// Tiles up to which numbers are not made before: a block of 128 keys makes those of all queries
// that it sees, 1.5 times each of 256, 4.5 times each of 1,024.
constexpr int64_t most_numbered_tiles = 4;

WideWork work_of(const WideHeads& s, const WideHeadsBackward& of) {
  const int64_t tiles = blocks_for(s.rope.time, wide_tile), blocks = blocks_for(tiles, 2);
  return {static_cast<int>(s.rope.time),
          static_cast<int>(s.rope.heads),
          static_cast<int>(tiles),
          static_cast<int>(blocks),
          static_cast<unsigned>(s.rope.sequences * s.rope.heads * blocks),
          static_cast<unsigned>(processors()),
          s.cosine != nullptr,
          tiles > most_numbered_tiles ? of.scratch : nullptr,
          of.lse,
          of.lse_to_base_2,
          1.0f / of.value,
          of.counters};
}

}  // namespace

bool takes_wide_heads_backward(const RopeShape& s) {
  return is_hopper() && takes_wide_heads_backward_on_hopper(s);
}

int64_t wide_heads_scratch(const RopeShape& s) {
  const int64_t tiles = blocks_for(s.time, wide_tile);
  return tiles > most_numbered_tiles ? s.sequences * s.heads * tiles * 128 : 0;
}

void wide_heads_backward(const WideHeads& shape, const WideHeadsBackward& of, Stream stream) {
  const RopeShape& r = shape.rope;
  const WideWork work = work_of(shape, of);
  const auto map = [&](const void* rows, int64_t parts, int box) {
    return tensor_map({rows, wide_head, r.time, parts, r.sequences, parts * wide_head, wide_head,
                       r.time * parts * wide_head, box});
  };
  // A row of 32 numbers is one of 64 in bf16 to the copies; without angles nobody reads any.
  const auto angles = [&](const void* table) {
    return tensor_map({table ? table : of.qkv, wide_head, r.time, 1, 1, wide_head,
                       r.time * wide_head, r.time * wide_head, wide_tile});
  };
  const WideMaps maps{map(of.qkv, 3 * r.heads, wide_tile),
                      map(of.out, r.heads, wide_tile),
                      map(of.dout, r.heads, wide_tile),
                      map(of.dqkv, 3 * r.heads, 16),
                      angles(shape.cosine),
                      angles(shape.sine)};
  const WideFactors factors{shape.logit * 1.44269504f, of.qk * of.value * shape.logit, of.gradient};
  cudaFuncSetAttribute(wide_backward, cudaFuncAttributeMaxDynamicSharedMemorySize, WideRoom::bytes);
  if (work.made)
    wide_numbers<<<dim3(work.tiles, work.heads, static_cast<unsigned>(r.sequences)), 256, 0,
                   stream>>>(work, static_cast<const bf16*>(of.out),
                             static_cast<const bf16*>(of.dout), of.scratch);
  // Blocks that come late take what is left of either kind.
  wide_backward<<<2 * work.blocks_at_once, wide_threads, WideRoom::bytes, stream>>>(work, factors,
                                                                                    maps);
  check_launch();
}

}  // namespace rung::cuda
