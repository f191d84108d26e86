// Factors of unit scaling (Blake et al. 2023; u-muP, arXiv 2407.17465): each op's output and
// gradients get a fixed multiplier such that unit-variance inputs give unit-variance outputs. m is
// the op's slope or temperature; sequence is the number of keys that the last query sees. All are
// pure functions of shape.
#pragma once
#include <cstdint>
#include <vector>

#include "scaling/parametrisation.h"

namespace rung {

// Log-interpolation: low at alpha = 0, high at alpha = 1.
double log_interpolate(double alpha, double low, double high);

OpFactor gelu_factor(double m);      // of gelu(m x) / m
OpFactor silu_factor(double m);      // of x sigmoid(m x)
OpFactor silu_glu_factor(double m);  // of x g sigmoid(m g); forward = backward
OpFactor gelu_glu_factor(double m);  // of x gelu(m g) / m (derived)
OpFactor relu_squared_factor();      // of relu(x)^2 (derived)
OpFactor relu_squared_glu_factor();  // of x relu(g)^2 (derived)
// By name of the ffn, its activation under `constraint`; the model says how many experts a token
// has. Fails (usage) for a name that it does not know.
FfnFactor ffn_factor(std::string_view ffn, const ModelConfig& model, double m,
                     std::string_view constraint = "to_output_scale");
OpFactor softmax_factor(double m, int64_t n);
// Output of softmax(m / d q.k) v with dropout p; the gradients of q, k, v share it.
double attention_factor(double m, int64_t head_dim, int64_t sequence, bool causal,
                        double dropout = 0.0);
double attention_logit_factor(double m, int64_t head_dim);  // m / head_dim
// Gradient of the *summed* cross-entropy over V classes: V / sqrt(V - 1), unit RMS at uniform
// logits.
double cross_entropy_factor(int64_t vocabulary);

// Linear map with unit-variance weights, in inputs, out outputs, over `rows` tokens: multipliers of
// the output, the gradient of the input, the gradient of the weight.
struct MatmulFactor {
  double output = 1.0, input_gradient = 1.0, weight_gradient = 1.0;
};
MatmulFactor matmul_factor(int64_t in, int64_t out, int64_t rows);
// The last linear map of u-muP, whose output starts at in^-1/2.
MatmulFactor readout_factor(int64_t in, int64_t out, int64_t rows);
// The same whose output and input's gradient share what `constraint` chooses (constraint.h).
MatmulFactor constrained(std::string_view constraint, const MatmulFactor& factor);
// Convolution over a sequence with filters of [out, in / groups, kernel]: in_of_group = in /
// groups, `positions` outputs of each filter over the batch. For input channels of a whole group
// each.
MatmulFactor conv1d_factor(int64_t in_of_group, int64_t out, int64_t kernel, int64_t groups,
                           int64_t stride, int64_t positions);
double embedding_factor(int64_t vocabulary, int64_t tokens);  // gradient of the table
double norm_gain_factor(int64_t width,
                        int64_t elements);  // gradient of a gain or bias over `elements` values
double dropout_factor(double p);
double add_factor();                      // of the sum of two unit-variance tensors
double broadcast_factor(int64_t copies);  // gradient of a term that is added `copies` times
double mse_gradient_factor();             // gradient of (x - y)^2 with unit-variance x, y

// The residual rule over branches, attention (even) and ffn (odd) in turn, of which some may not be
// there: tau of each branch, then
// skip / sqrt(1 + tau^2) + branch * tau / sqrt(1 + tau^2), branch delayed in the backward pass.
std::vector<double> residual_taus(const std::vector<bool>& there, double alpha_res,
                                  double alpha_ratio);
std::vector<ResidualFactor> residual_factors(const std::vector<bool>& there, double alpha_res,
                                             double alpha_ratio);

}  // namespace rung
