#include "model/interchange/packed.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>

#include <cmath>
#include <cstring>

#include "core/error.h"
#include "model/interchange/folder.h"

namespace rung {

using at::Tensor;

namespace {

constexpr int64_t codes_a_byte = 4;
constexpr double least_scale = 1e-5;  // below it ternary_codes takes another

Tensor stored_bytes(const TensorBlock& block) {
  Tensor bytes = at::empty(block.shape, at::kByte);
  std::memcpy(bytes.mutable_data_ptr(), block.bytes.data(), block.bytes.size());
  return bytes;
}

double stored_scale(const TensorBlock& block, bool inverse) {
  const Tensor value = floating_tensor(block);
  if (value.numel() != 1)
    fail("[import] {} must hold one number. Received {}.", block.name, value.numel());
  const double given = value.item<double>(), scale = inverse ? 1.0 / given : given;
  if (!std::isfinite(scale) || scale < least_scale)
    fail("[import] {} must make a map's scale at least {}. Received {}.", block.name, least_scale,
         given);
  return scale;
}

}  // namespace

std::string scale_name(const std::string& weight) {
  return weight + "_scale";
}

Tensor packed_codes(const Tensor& codes, const std::string& name) {
  const int64_t rows = codes.size(0) / codes_a_byte;
  if (rows * codes_a_byte != codes.size(0))
    fail("[export] Packed maps have rows in fours. Received {} rows in {}.", codes.size(0), name);
  const Tensor shifted = (codes + 1.0).to(at::kByte);
  Tensor bytes = shifted.narrow(0, 0, rows).clone();
  for (int64_t i = 1; i < codes_a_byte; ++i)
    bytes.add_(shifted.narrow(0, i * rows, rows) * (int64_t{1} << (2 * i)));
  return bytes;
}

Tensor unpacked_codes(const Tensor& bytes, const std::string& name) {
  std::vector<Tensor> rows;
  Tensor rest = bytes.to(at::kInt);
  for (int64_t i = 0; i < codes_a_byte; ++i) {
    rows.push_back(rest.remainder(4));
    rest = (rest - rows.back()) / 4;
  }
  const Tensor codes = at::cat(rows).to(at::kFloat) - 1.0;
  if (codes.numel() > 0 && codes.max().item<float>() > 1.0f)
    fail("[import] {} holds a code that is none of -1, 0 and 1.", name);
  return codes;
}

Tensor ternary_weights(const TensorBlock& block, const TensorBlock& scale, bool inverse) {
  if (block.shape.size() != 2)
    fail("[import] {} must be of rank 2. Received the shape [{}].", block.name,
         fmt::join(block.shape, ", "));
  const Tensor codes = block.dtype == "U8" ? unpacked_codes(stored_bytes(block), block.name)
                                           : floating_tensor(block);
  const Tensor size = codes.abs();
  if (!(size.eq(0.0) | size.eq(1.0)).all().item<bool>())
    fail("[import] {} must hold -1, 0 and 1 where it has a scale beside it.", block.name);
  const double share = size.to(at::kDouble).mean().item<double>();
  if (share == 0.0) return codes;
  return (codes.to(at::kDouble) * (stored_scale(scale, inverse) / share)).to(codes.scalar_type());
}

}  // namespace rung
