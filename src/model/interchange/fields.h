// A config.json as it is read: every field is asked for by name, and what nobody asked for is
// refused by name, so that nothing is ignored.
#pragma once
#include <initializer_list>
#include <set>
#include <string>
#include <vector>

#include "core/json.h"

namespace rung {

class Fields {
 public:
  // `where` stands in messages. A null counts as absent.
  Fields(Json object, std::string where);

  bool has(const std::string& key) const;
  bool names(const std::string& key) const { return json_.contains(key); }  // a null too
  int64_t whole(const std::string& key);  // fails where it is absent
  int64_t whole(const std::string& key, int64_t fallback);
  double number(const std::string& key, double fallback);
  bool truth(const std::string& key, bool fallback);
  std::string text(const std::string& key, const std::string& fallback);
  std::vector<std::string> texts(const std::string& key);  // a list of texts; empty where absent
  Fields object(const std::string& key);                   // an empty one where absent
  Json json(const std::string& key);                       // null where absent

  // A field that must be absent or have this value.
  void expect(const std::string& key, const Json& value);
  // Fields that say nothing of what a model computes for a prompt.
  void harmless(std::initializer_list<const char*> keys);
  void bookkeeping();  // those of every family
  [[noreturn]] void refuse_field(const std::string& key, const std::string& why) const;
  // Refuses what was not asked for.
  void finish() const;

 private:
  const Json* find(const std::string& key);

  Json json_;
  std::string where_;
  std::set<std::string> seen_;
};

}  // namespace rung
