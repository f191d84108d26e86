#include "model/interchange/fields.h"

#include "core/error.h"

namespace rung {

Fields::Fields(Json object, std::string where)
    : json_(std::move(object)), where_(std::move(where)) {
  if (!json_.is_object()) fail("[import] {} is no JSON object.", where_);
}

bool Fields::has(const std::string& key) const {
  return json_.contains(key) && !json_.at(key).is_null();
}

const Json* Fields::find(const std::string& key) {
  seen_.insert(key);
  return has(key) ? &json_.at(key) : nullptr;
}

void Fields::refuse_field(const std::string& key, const std::string& why) const {
  fail("[import] {}: {} {}. Received {}.", where_, key, why,
       json_.contains(key) ? json_.at(key).dump() : "nothing");
}

int64_t Fields::whole(const std::string& key) {
  const Json* value = find(key);
  if (!value || !value->is_number_integer()) refuse_field(key, "must be a whole number");
  return value->get<int64_t>();
}

int64_t Fields::whole(const std::string& key, int64_t fallback) {
  return find(key) ? whole(key) : fallback;
}

double Fields::number(const std::string& key, double fallback) {
  const Json* value = find(key);
  if (!value) return fallback;
  if (!value->is_number()) refuse_field(key, "must be a number");
  return value->get<double>();
}

bool Fields::truth(const std::string& key, bool fallback) {
  const Json* value = find(key);
  if (!value) return fallback;
  if (!value->is_boolean()) refuse_field(key, "must be true or false");
  return value->get<bool>();
}

std::string Fields::text(const std::string& key, const std::string& fallback) {
  const Json* value = find(key);
  if (!value) return fallback;
  if (!value->is_string()) refuse_field(key, "must be text");
  return value->get<std::string>();
}

std::vector<std::string> Fields::texts(const std::string& key) {
  const Json* value = find(key);
  if (!value) return {};
  std::vector<std::string> list;
  for (const Json& entry : *value) {
    if (!value->is_array() || !entry.is_string()) refuse_field(key, "must be a list of texts");
    list.push_back(entry.get<std::string>());
  }
  return list;
}

Json Fields::json(const std::string& key) {
  const Json* value = find(key);
  return value ? *value : Json();
}

Fields Fields::object(const std::string& key) {
  const Json* value = find(key);
  return Fields(value ? *value : Json::object(), where_ + ", " + key);
}

void Fields::expect(const std::string& key, const Json& value) {
  const Json* given = find(key);
  if (given && *given != value)
    refuse_field(key, fmt::format("is supported as {} only", value.dump()));
}

void Fields::harmless(std::initializer_list<const char*> keys) {
  seen_.insert(keys.begin(), keys.end());
}

void Fields::bookkeeping() {
  harmless({"architectures", "model_type", "transformers_version", "torch_dtype", "dtype",
            "_name_or_path", "initializer_range", "use_cache", "bos_token_id", "eos_token_id",
            "pad_token_id", "output_attentions", "output_hidden_states", "return_dict",
            "chunk_size_feed_forward", "id2label", "label2id"});
}

void Fields::finish() const {
  for (const auto& [key, value] : json_.items())
    if (!seen_.contains(key) && !value.is_null()) refuse_field(key, "is not known");
}

}  // namespace rung
