#include "train/population.h"

#include <ATen/Parallel.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>

#include "config/difference.h"
#include "config/keys.h"
#include "config/resolve.h"
#include "core/error.h"
#include "core/random.h"
#include "optim/moments.h"
#include "train/engine.h"

namespace rung {
namespace {

// Keys that may differ inside a population.
constexpr std::array own_keys = {"seed",        "train.lr",     "train.weight_decay",
                                 "train.beta1", "train.beta2",  "train.epsilon",
                                 "train.clip",  "train.members"};

at::ScalarType master_type(const std::string& precision) {
  return precision == "fp64" ? at::kDouble : at::kFloat;
}

void check_same_program(const std::vector<RunConfig>& members) {
  Json list = Json::array();
  for (const RunConfig& c : members) list.push_back(program_settings(c));
  if (std::any_of(list.begin(), list.end(), [&](const Json& one) { return one != list.front(); }))
    fail_usage(
        "[population] Members must share shape, batch, tokens, schedule and parts. Received {}.",
        variety_text(list));
}

void check_optimizer(const Optimizer& optimizer, const Schedule& schedule) {
  if (optimizer.constant_rate && schedule.cooldown > 0)
    fail_usage(
        "[train] {} averages instead of cooling down. Received a cooldown of {} steps. Use --set "
        "train.schedule=constant.",
        optimizer.name, schedule.cooldown);
}

}  // namespace

Json program_settings(const RunConfig& config) {
  Json json = to_json(config);
  for (const char* key : own_keys) json.erase(key);
  RunConfig names;
  visit_config(names, [&](const char* key, auto&, const char*, const char*) {
    if (std::string_view(key).starts_with("multipliers.")) json.erase(key);
  });
  return json;
}

Machine make_machine(const std::string& device, int threads) {
  if (device != "cpu" && device != "cuda")
    fail_usage("[device] Device must be cpu or cuda. Received '{}'.", device);
  if (device == "cuda") Population::Engine::require_cuda();
  Machine machine{.device = device, .pool = nullptr};
  machine.pool = std::make_shared<TaskPool>(std::max(1, threads), [] {
    at::init_num_threads();
    at::set_num_threads(1);
  });
  return machine;
}

Population::Population(std::vector<RunConfig> members, std::shared_ptr<const TokenSource> source,
                       Machine machine, const std::function<void(Decoder&)>& alter)
    : source_(std::move(source)), machine_(std::move(machine)) {
  if (members.empty()) fail_usage("[population] At least one member is needed.");
  check_same_program(members);
  const RunConfig& first = members.front();
  refuse_unmet(first);
  const int64_t context = first.model.context;
  batch_sequences = first.train.batch_tokens / context;
  if (batch_sequences < 1 || first.train.batch_tokens % context != 0)
    fail_usage("[train] train.batch_tokens must be a multiple of model.context {}. Received {}.",
               context, first.train.batch_tokens);
  const int64_t steps = first.train.tokens / first.train.batch_tokens;
  if (steps < 1)
    fail_usage("[train] train.tokens {} is less than one batch of {} tokens.", first.train.tokens,
               first.train.batch_tokens);
  const Decoder ruled = make_decoder(first, source_->vocabulary());
  decoder = ruled;
  if (alter) alter(decoder);
  trained = trained_part(decoder.layout);
  schedule = make_schedule(first.train, steps);
  optimizer = &find_optimizer(first.train.optimizer);
  check_optimizer(*optimizer, schedule);
  const auto options =
      at::TensorOptions().dtype(master_type(first.precision)).device(machine_.device);
  weights = at::zeros({static_cast<int64_t>(members.size()), decoder.layout.stride}, options);
  for (const StateSpec& spec : states_of(*optimizer, trained, first.train.moments))
    optimizer_state[spec.name] =
        at::zeros({weights.size(0), spec.size}, spec.type ? options.dtype(*spec.type) : options);
  if (has_sparse(decoder.layout)) mask = at::empty_like(weights);
  Parallel parallel;
  if (machine_.pool)
    parallel = [&](int64_t count, const auto& task) { machine_.pool->run(count, task); };
  for (RunConfig& config : members) {
    const auto row = static_cast<int64_t>(states.size());
    initialise(decoder.layout, weights.select(0, row), config.seed, parallel);
    if (mask.defined()) fill_mask(decoder.layout, mask.select(0, row), config.seed);
    Decoder own = ruled;
    own.block = block_factors(config, source_->vocabulary());
    if (alter) alter(own);
    states.push_back({.config = std::move(config), .block = own.block});
  }
  engine_ = machine_.device == "cuda" ? Engine::make_cuda(*this) : Engine::make_cpu(*this);
}

Population::~Population() = default;

bool Population::all_diverged() const {
  return std::all_of(states.begin(), states.end(),
                     [](const MemberState& s) { return s.status == MemberStatus::diverged; });
}

void Population::advance() {
  engine_->advance(*this);
  ++step;
}

void Population::sync() {
  engine_->sync(*this);
}

at::Tensor Population::eval_weights() const {
  if (!optimizer->eval_weights) return weights;
  at::Tensor beta1 = at::empty({members(), 1}, at::kDouble);
  for (size_t m = 0; m < states.size(); ++m)
    beta1.mutable_data_ptr<double>()[m] = hyper(static_cast<int64_t>(m))[hyper_beta1];
  const at::Tensor moving = weights.narrow(1, 0, trained.stride);
  const at::Tensor used =
      optimizer->eval_weights({trained, moving, optimizer_state, beta1.to(weights.options())});
  if (trained.stride == decoder.layout.stride) return used;
  return at::cat({used, weights.narrow(1, trained.stride, decoder.layout.stride - trained.stride)},
                 1);
}

std::vector<Evaluation> Population::evaluate(const HeldOut& held_out) {
  if (!optimizer->eval_weights) return engine_->evaluate(*this, held_out);
  sync();
  const at::Tensor kept = weights.clone();
  weights.copy_(eval_weights());
  std::vector<Evaluation> result = engine_->evaluate(*this, held_out);
  weights.copy_(kept);
  return result;
}

Population::Bound Population::bound(int64_t member) {
  sync();
  Bound result{.decoder = decoder, .row = eval_weights().narrow(0, member, 1), .weights = {}};
  result.decoder.block = states[static_cast<size_t>(member)].block;
  result.weights = bind(decoder.layout, result.row, at::Tensor());
  return result;
}

at::Tensor Population::logits(int64_t member, const at::Tensor& tokens, Cache* cache) {
  const Bound own = bound(member);
  const Ropes ropes =
      make_ropes(own.decoder.model, tokens.size(-1), own.row.options(), cache ? cache->time : 0);
  return token_logits(own.decoder, own.weights, tokens, ropes, cache);
}

std::array<double, hyper_count> Population::hyper(int64_t member) const {
  const MemberState& state = states[static_cast<size_t>(member)];
  const TrainConfig& train = state.config.train;
  const auto beta = [&](double base) {
    return state.block.beta == 1.0 ? base  // to the bit
                                   : std::clamp(1.0 - (1.0 - base) * state.block.beta, 0.0, 1.0);
  };
  const double beta1 = beta(train.beta1), beta2 = beta(train.beta2);
  const double s = schedule_factor(schedule, step), t = static_cast<double>(step + 1);
  std::array<double, hyper_count> row{};
  row[hyper_lr] = train.lr * s;
  row[hyper_decay] = peak_decay(train) * s;
  row[hyper_beta1] = beta1;
  row[hyper_beta2] = beta2;
  row[hyper_epsilon] = train.epsilon;
  row[hyper_correction1] = 1.0 - std::pow(beta1, t);
  row[hyper_correction2] = 1.0 - std::pow(beta2, t);
  row[hyper_scale] = 1.0;
  return row;
}

bool Population::rounds_by_draws() const {
  const TrainConfig& train = states.front().config.train;
  return train.moments != "fp32" && train.moments_rounding == "stochastic";
}

uint64_t Population::draw_key(int64_t member) const {
  return Random(states[static_cast<size_t>(member)].config.seed, "moments",
                static_cast<uint64_t>(step))
      .bits64();
}

int64_t Population::Engine::window(const Population& p, int64_t member, int64_t i) {
  return sequence_at(p.step * p.batch_sequences + i, p.source_->sequences(p.decoder.model.context),
                     p.states[static_cast<size_t>(member)].config.seed);
}

double Population::Engine::clip_scale(const MemberState& state, double norm) {
  const double limit = state.config.train.clip;
  return limit > 0.0 && norm > limit ? limit / norm : 1.0;
}

Evaluation summarise(const HeldOut& held_out, const std::vector<double>& document_sum) {
  Evaluation result{.document_loss = document_sum,
                    .document_tokens = std::vector<double>(document_sum.size(), 0.0)};
  for (const int32_t document : held_out.document)
    result.document_tokens[static_cast<size_t>(document)] += 1.0;
  double total = 0.0, tokens = 0.0, documents = 0.0;
  for (size_t d = 0; d < document_sum.size(); ++d) {
    total += document_sum[d];
    tokens += result.document_tokens[d];
    documents += result.document_tokens[d] > 0.0 ? 1.0 : 0.0;
  }
  result.loss = total / tokens;
  // Ratio estimator over documents: deviations of each document's sum from its share of the mean.
  double squares = 0.0;
  for (size_t d = 0; d < document_sum.size(); ++d) {
    const double deviation = document_sum[d] - result.loss * result.document_tokens[d];
    squares += deviation * deviation;
    if (result.document_tokens[d] > 0.0)
      result.document_loss[d] = document_sum[d] / result.document_tokens[d];
  }
  if (documents > 1.0) squares *= documents / (documents - 1.0);
  result.standard_error = std::sqrt(squares) / tokens;
  return result;
}

}  // namespace rung
