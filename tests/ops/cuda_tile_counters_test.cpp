// Large products in a captured graph: no memset stands between a kernel and the next.
#ifdef RUNG_CUDA
#include <ATen/cuda/CUDAGraph.h>
#include <ATen/ops/empty.h>
#include <c10/cuda/CUDAGuard.h>

#include "ops/cuda/clear_nodes.h"
#include "ops/cuda/company.h"
#include "ops/cuda/graph_nodes.h"
#include "ops/cuda/product.h"
#include "ops/cuda/tile_counters.h"
#include "support/on_gpu.h"

using namespace rung;
using namespace rung::test;

namespace {

struct Memsets {
  size_t count = 0, waiting = 0;  // waiting: for another node
};

Memsets counted(cudaGraph_t graph) {
  Memsets found;
  for (const cuda::MemsetNode& m : cuda::memsets_of(graph)) {
    found.count += 1;
    found.waiting += !cuda::nodes_before(m.node).empty();
  }
  return found;
}

// Three layers of one map, and beside them each layer's sums over its rows.
struct Maps {
  Tensor x, weight, sums;
  std::vector<Tensor> streams;

  Maps()
      : x(normal({1, 32'768, 512}, 1).to(at::kBFloat16).to(at::kCUDA)),
        weight((normal({1, 512, 512}, 2) * 0.05).to(at::kBFloat16).to(at::kCUDA)),
        sums(at::empty({3, 512, 512}, x.options().dtype(at::kFloat))) {
    for (int i = 0; i < 3; ++i) streams.push_back(at::empty_like(x));
  }
  void run() {
    for (int64_t i = 0; i < 3; ++i) {
      const Tensor from = i == 0 ? x : streams[static_cast<size_t>(i - 1)].sin();
      const Tensor to = streams[static_cast<size_t>(i)], sum = sums.narrow(0, i, 1);
      cuda::product(to, from, weight.transpose(1, 2), 1.0, false);
      cuda::beside({to, from}, sum,
                   [&] { cuda::product(sum, to.transpose(1, 2), from, 1.0, false); });
    }
  }
  std::vector<Tensor> results() const {
    return {streams[0].clone(), streams[1].clone(), streams[2].clone(), sums.clone()};
  }
};

}  // namespace

TEST_CASE("a captured step's products on the GPU: their counters are cleared at once") {
  if (no_gpu()) return;
  const c10::cuda::CUDAStream stream = c10::cuda::getStreamFromPool();
  const c10::cuda::CUDAStreamGuard guard(stream);
  cuda::Company company(stream);
  Maps maps;
  maps.run();
  company.join();
  const std::vector<Tensor> want = maps.results();
  c10::cuda::device_synchronize();
  for (const int64_t room : {64, 2}) {  // counters for all products, and for the first two
    CAPTURE(room);
    cuda::TileCounters counters(maps.x, room);
    at::cuda::CUDAGraph graph(/*keep_graph=*/true);
    graph.capture_begin({0, 0}, cudaStreamCaptureModeThreadLocal);
    {
      const cuda::TileCounters::Use use(counters);
      maps.run();
      company.join();
    }
    graph.capture_end();
    const Memsets captured = counted(graph.raw_cuda_graph());
    const size_t moved = counters.clear_at_once(graph.raw_cuda_graph());
    const Memsets left = counted(graph.raw_cuda_graph());
    CHECK(left.count == captured.count - moved + (moved > 0));
    CHECK(left.waiting + moved <= captured.waiting + 1);  // the first waits for nothing
    CHECK(moved <= static_cast<size_t>(room));
    const size_t kernels = cuda::clear_by_kernels(graph.raw_cuda_graph());
    CHECK(counted(graph.raw_cuda_graph()).waiting == 0);
    CHECK(kernels >= left.waiting);
    graph.instantiate();
    for (int turn = 0; turn < 3; ++turn) {
      for (const Tensor& t : maps.streams) t.zero_();
      maps.sums.zero_();
      graph.replay();
      c10::cuda::device_synchronize();
      const std::vector<Tensor> got = maps.results();
      for (size_t i = 0; i < got.size(); ++i) CHECK(same_bits(got[i], want[i]));
    }
  }
}
#endif
