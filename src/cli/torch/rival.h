// Another program that does the same work, kept alive between jobs so that its start is never
// timed: one JSON object a line in, one a line out.
#pragma once
#include <string>
#include <vector>

#include "core/json.h"

namespace rung {

class Rival {
 public:
  // Starts the program. Fails when it cannot be started.
  explicit Rival(std::vector<std::string> command);
  ~Rival();
  Rival(const Rival&) = delete;
  Rival& operator=(const Rival&) = delete;

  void send(const Json& job);
  // Waits for the answer to the oldest job. Fails when the program ends instead.
  Json receive();

 private:
  std::string name_, pending_;
  int socket_ = -1;
  int process_ = -1;
};

}  // namespace rung
