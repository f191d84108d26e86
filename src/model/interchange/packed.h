// Ternary maps as transformers' BitNet files hold them: codes of 2 bits, four rows to a row of
// bytes, and one scale a map beside them.
#pragma once
#include <ATen/core/Tensor.h>

#include <string>

#include "core/safetensors.h"

namespace rung {

// The name of the scale beside a map: a.weight has a.weight_scale.
std::string scale_name(const std::string& weight);

// Codes -1, 0, 1 [out, in], plus 1, as bytes [out / 4, in]: row r holds rows r, r + out / 4, ... of
// codes, from its lowest bits up. `name` stands in the message where out is no multiple of 4.
at::Tensor packed_codes(const at::Tensor& codes, const std::string& name);
// The codes in fp32. Fails on the fourth value of 2 bits.
at::Tensor unpacked_codes(const at::Tensor& bytes, const std::string& name);

// Weights whose ternary codes and scale (ops/ternary.h) are those of a file: codes times scale over
// the share of codes that are not 0, as the scale is the mean size of all. Codes are packed or in
// floating point. `inverse`: the file's scale divides.
at::Tensor ternary_weights(const TensorBlock& codes, const TensorBlock& scale, bool inverse);

}  // namespace rung
