#include "train/checkpoint.h"

#include <ATen/ops/from_blob.h>

#include <limits>

#include "config/difference.h"
#include "config/resolve.h"
#include "core/crc32c.h"
#include "core/error.h"
#include "core/folder.h"
#include "core/safetensors.h"

namespace rung {
namespace {

using at::Tensor;

// Where an optimizer averages, weights.safetensors holds the average, and this the weights that
// training goes on from.
constexpr const char* trained_weights = "trained_weights";

const char* dtype_name(const Tensor& t) {
  switch (t.scalar_type()) {
    case at::kDouble:
      return "F64";
    case at::kBFloat16:
      return "BF16";
    case at::kFloat8_e4m3fn:
      return "F8_E4M3";
    default:
      return "F32";
  }
}

uint32_t checksum(const TensorBlock& block) {
  return crc32c({reinterpret_cast<const char*>(block.bytes.data()), block.bytes.size()});
}

// Named tensors on the host, kept alive while they are written.
class Blocks {
 public:
  void add(std::string name, const Tensor& tensor) {
    const Tensor host = tensor.detach().cpu().contiguous();
    kept_.push_back(host);
    blocks_.push_back({std::move(name),
                       dtype_name(host),
                       host.sizes().vec(),
                       {static_cast<const std::byte*>(host.const_data_ptr()), host.nbytes()}});
  }
  // Checksums of the tensors by name, for state.json.
  Json write(const fs::path& path) const {
    write_safetensors(path, blocks_, {{"format", "pt"}});
    Json checksums = Json::object();
    for (const TensorBlock& block : blocks_) checksums[block.name] = checksum(block);
    return checksums;
  }

 private:
  std::vector<Tensor> kept_;
  std::vector<TensorBlock> blocks_;
};

void read_into(const Safetensors& file, const std::string& name, Tensor target,
               const fs::path& path) {
  const TensorBlock& block = file.at(name);
  const Tensor kind = target.select(0, 0);
  if (block.dtype != dtype_name(kind) || block.shape != target.sizes().vec())
    fail("[checkpoint] {} holds {} as {} of [{}], this run needs {} of [{}]. Start a new run.",
         path.string(), name, block.dtype, fmt::join(block.shape, ", "), dtype_name(kind),
         fmt::join(target.sizes().vec(), ", "));
  target.copy_(at::from_blob(const_cast<std::byte*>(block.bytes.data()), block.shape,
                             kind.options().device(at::kCPU)));
}

Json members_json(const Population& p) {
  Json members = Json::array();
  for (const MemberState& state : p.states)
    members.push_back({{"config", to_json(state.config)},
                       {"status", state.status == MemberStatus::running ? "running" : "diverged"},
                       {"loss", json_number(state.loss)},
                       {"gradient_norm", json_number(state.gradient_norm)}});
  return members;
}

// What members_json wrote. The loss and norm of a diverged member are those of its last step for
// good: without them a resumed run would end with other records than an undisturbed one.
void read_member(const Json& saved, MemberState& state) {
  const auto number = [&](const char* key) {
    const Json value = saved.value(key, Json());  // an early build wrote no norm; null is NaN
    return value.is_null() ? std::numeric_limits<double>::quiet_NaN() : value.get<double>();
  };
  const bool running = saved.at("status").get<std::string>() == "running";
  state.status = running ? MemberStatus::running : MemberStatus::diverged;
  state.loss = number("loss");
  state.gradient_norm = number("gradient_norm");
}

// Fails where a checkpoint's members have other settings than the population's, or are another
// number.
void check_same_settings(const Json& members, const Population& p, const fs::path& path) {
  Json saved = Json::array(), wanted = Json::array();
  for (const Json& member : members) saved.push_back(with_defaults(member.at("config")));
  for (const MemberState& state : p.states) wanted.push_back(to_json(state.config));
  const std::string difference = difference_text(saved, wanted);
  if (!difference.empty())
    fail(
        "[checkpoint] {} belongs to another configuration: {}. Resume with the settings and the "
        "build that it was begun with, or choose another folder.",
        path.string(), difference);
}

[[noreturn]] void fail_damaged(const fs::path& checkpoint, std::string_view what) {
  fail("[checkpoint] {} is damaged: {} Remove that folder to fall back to an older one.",
       checkpoint.string(), what);
}

// What is no whole file of its kind, with what to do about it.
template <class Read>
auto read_whole(const fs::path& checkpoint, Read&& read) {
  try {
    return read();
  } catch (const Error& error) {
    fail_damaged(checkpoint, error.what());
  }
}

Json read_state(const fs::path& checkpoint) {
  return read_whole(checkpoint, [&] {
    Json state = read_json(checkpoint / "state.json");
    if (!state.is_object() || !state.contains("position"))
      fail("[checkpoint] state.json has no position.");
    return state;
  });
}

// One of a checkpoint's two files, every tensor as it was written. Checkpoints from before there
// were checksums have none.
Safetensors open_tensors(const fs::path& checkpoint, const Json& state, const std::string& name) {
  return read_whole(checkpoint, [&] {
    Safetensors file(checkpoint / (name + ".safetensors"));
    const Json checksums = state.value("checksums", Json::object()).value(name, Json::object());
    for (const TensorBlock& block : file.blocks())
      if (checksums.contains(block.name) && checksums.at(block.name) != checksum(block))
        fail("[checkpoint] {}.safetensors: {} is not what was written.", name, block.name);
    return file;
  });
}

}  // namespace

fs::path checkpoint_path(const fs::path& folder, int64_t step) {
  return folder / fmt::format("{:06}", step);
}

void save_checkpoint(const Population& p, const fs::path& folder, const Json& position) {
  const fs::path target = checkpoint_path(folder, p.step);
  make_folder(target, "checkpoint");
  Blocks weights, optimizer;
  const Tensor used = p.eval_weights();
  for (size_t i = 0; i < p.decoder.layout.tensors.size(); ++i)
    weights.add(p.decoder.layout.tensors[i].name, view(p.decoder.layout, used, i));
  for (const auto& [name, tensor] : p.optimizer_state) optimizer.add(name, tensor);
  if (p.optimizer->eval_weights) optimizer.add(trained_weights, p.weights);
  Json checksums = Json::object();
  checksums["weights"] = weights.write(target / "weights.safetensors");
  checksums["optimizer"] = optimizer.write(target / "optimizer.safetensors");
  write_json(target / "state.json", {{"step", p.step},
                                     {"members", members_json(p)},
                                     {"position", position},
                                     {"checksums", checksums}});
}

Json load_checkpoint(Population& p, const fs::path& checkpoint) {
  p.sync();
  const Json state = read_state(checkpoint);
  try {
    const Json& members = state.at("members");
    check_same_settings(members, p, checkpoint);
    for (size_t m = 0; m < p.states.size(); ++m) read_member(members[m], p.states[m]);
    const Safetensors weights = open_tensors(checkpoint, state, "weights"),
                      optimizer = open_tensors(checkpoint, state, "optimizer");
    if (p.optimizer->eval_weights)
      read_into(optimizer, trained_weights, p.weights, checkpoint);
    else
      for (size_t i = 0; i < p.decoder.layout.tensors.size(); ++i)
        read_into(weights, p.decoder.layout.tensors[i].name, view(p.decoder.layout, p.weights, i),
                  checkpoint);
    for (auto& [name, tensor] : p.optimizer_state) read_into(optimizer, name, tensor, checkpoint);
    p.step = state.at("step").get<int64_t>();
    return state.at("position");
  } catch (const nlohmann::json::exception& error) {
    fail_damaged(checkpoint, error.what());
  }
}

std::optional<fs::path> newest_checkpoint(const fs::path& folder) {
  std::optional<fs::path> newest;
  std::pair<int64_t, size_t> furthest{-1, 0};
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (!fs::exists(entry.path() / "state.json")) continue;
    const Json position = read_state(entry.path()).at("position");
    const std::pair progress{position.value("done_steps", int64_t{0}),
                             position.value("finish", size_t{0})};
    if (progress < furthest) continue;
    furthest = progress;
    newest = entry.path();
  }
  return newest;
}

void remove_passing_checkpoints(const fs::path& folder, const fs::path& newest) {
  std::vector<fs::path> passing;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (!entry.is_directory() || entry.path() == newest) continue;
    const bool committed = fs::exists(entry.path() / "state.json");
    if (committed && !read_state(entry.path()).at("position").value("passing", false)) continue;
    passing.push_back(entry.path());
  }
  std::error_code error;  // what stays costs room alone
  for (const fs::path& path : passing) {
    fs::remove(path / "state.json", error);  // first: the rest is then no checkpoint any more
    fs::remove_all(path, error);
  }
}

void remove_checkpoints(const fs::path& folder) {
  std::error_code error;
  fs::remove_all(folder, error);
  if (error) fail("[train] Cannot remove {}: {}.", folder.string(), error.message());
}

}  // namespace rung
