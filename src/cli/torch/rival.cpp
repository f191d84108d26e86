#include "cli/torch/rival.h"

#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "core/error.h"

extern char** environ;

namespace rung {

Rival::Rival(std::vector<std::string> command) : name_(command.front()) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
    fail("[bench] No socket for the rival. Received: {}.", std::strerror(errno));
  std::vector<char*> words;
  for (std::string& word : command) words.push_back(word.data());
  words.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  const int status = ::posix_spawnp(&process_, words[0], &actions, nullptr, words.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  ::close(ends[1]);
  socket_ = ends[0];
  if (status == 0) return;
  ::close(socket_);
  fail("[bench] The rival {} does not start: {}. Give --rival-python PATH.", name_,
       std::strerror(status));
}

Rival::~Rival() {
  ::close(socket_);  // its standard input ends, and so does it
  ::waitpid(process_, nullptr, 0);
}

void Rival::send(const Json& job) {
  const std::string line = job.dump() + "\n";
  if (::send(socket_, line.data(), line.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(line.size()))
    fail("[bench] The rival {} takes no job: {}.", name_, std::strerror(errno));
}

Json Rival::receive() {
  size_t end;
  while ((end = pending_.find('\n')) == std::string::npos) {
    char buffer[4096];
    const ssize_t count = ::read(socket_, buffer, sizeof buffer);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) fail("[bench] The rival {} ended early; its message stands above.", name_);
    pending_.append(buffer, static_cast<size_t>(count));
  }
  const std::string line = pending_.substr(0, end);
  pending_.erase(0, end + 1);
  const Json answer = Json::parse(line, nullptr, false);
  if (answer.is_discarded())
    fail("[bench] The rival {} answered no JSON. Received {}.", name_, line);
  return answer;
}

}  // namespace rung
