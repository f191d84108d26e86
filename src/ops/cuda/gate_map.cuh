// What the kernels of gate_map.h share.
#pragma once
#include "ops/cuda/common.cuh"
#include "ops/cuda/gate_map.h"

namespace rung::cuda {

struct GateRows {
  int64_t rows;
  int width, gates;
  int64_t matrix_stride, bias_stride;
  float cap, inverse_cap;
};

inline GateRows rows_of(const GateMapShape& s) {
  return {s.rows,
          static_cast<int>(s.width),
          static_cast<int>(s.gates),
          s.matrix_stride,
          s.bias_stride,
          s.cap,
          1.0f / s.cap};
}

}  // namespace rung::cuda
