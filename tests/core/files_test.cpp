#include "core/files.h"

#include <doctest/doctest.h>
#include <sys/resource.h>

#include <csignal>

#include "core/error.h"
#include "core/json.h"
#include "core/pending_file.h"
#include "temporary.h"

using namespace rung;

TEST_CASE("files are replaced whole, appended to and mapped") {
  const TemporaryFolder folder;
  const auto path = folder / "a.txt";
  write_file(path, "one");
  write_file(path, "two\n");
  append_file(path, "three\n", true);
  CHECK(read_file(path) == "two\nthree\n");
  CHECK_FALSE(fs::exists(folder / "a.txt.tmp"));
  MappedFile map(path);
  CHECK(map.bytes().size() == 10);
  MappedFile moved(std::move(map));
  CHECK(static_cast<char>(moved.bytes()[0]) == 't');
  CHECK(map.bytes().empty());
  write_file(path, "");
  CHECK(MappedFile(path).bytes().empty());
}

TEST_CASE("a pending file is there whole or not at all") {
  const TemporaryFolder folder;
  const auto temporary = folder / "part", path = folder / "whole";
  {
    PendingFile file(temporary, "it");
    file.write("begun");
  }
  CHECK_FALSE(fs::exists(temporary));
  PendingFile file(temporary, "it");
  file.write("....end");
  file.rewind();
  file.write("the ");
  CHECK_FALSE(fs::exists(path));
  file.commit(path);
  CHECK(read_file(path) == "the end");
  CHECK_FALSE(fs::exists(temporary));
  CHECK(error_of([&] { PendingFile(folder / "no/such/f", "shards", "Free some space."); }) ==
        "[files] Cannot write shards: No such file or directory. Free some space.");
}

TEST_CASE("file errors name the path") {
  const TemporaryFolder folder;
  CHECK(error_of([&] { read_file(folder / "absent"); }).find("absent") != std::string::npos);
  CHECK(error_of([&] { read_file(folder.path); }).find("folder") != std::string::npos);
  CHECK(error_of([&] { write_file(folder / "no/such/f", "x"); }).find("no/such/f") !=
        std::string::npos);
  CHECK(error_of([&] { MappedFile map(folder / "absent"); }).find("absent") != std::string::npos);
  fs::create_directories(folder / "taken");
  const auto refusal = [&](const char* name) {
    return error_of([&] { check_writable(folder / name); });
  };
  CHECK(refusal("taken").find("Is a directory") != std::string::npos);
  CHECK(refusal("no/such/f").find("No such file") != std::string::npos);
  CHECK(refusal("fresh") == "nothing was thrown");
  // What could not be put in its place is not left beside it.
  CHECK(error_of([&] { write_file(folder / "taken", "x"); }).find("taken") != std::string::npos);
  CHECK(std::distance(fs::directory_iterator(folder.path), fs::directory_iterator()) == 1);
  // A device without space: the old content survives and the message says why.
  if (fs::exists("/dev/full"))
    CHECK(error_of([] { append_file("/dev/full", "x"); }).find("No space left") !=
          std::string::npos);
}

TEST_CASE("a line that does not fit is taken back, so that the next one is whole") {
  const TemporaryFolder folder;
  const auto path = folder / "log.jsonl";
  append_file(path, "first\n");
  // Files may grow to ten bytes: a disk that fills up within a line.
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &before) == 0);
  const rlimit ten{.rlim_cur = 10, .rlim_max = before.rlim_max};
  const auto ignored = std::signal(SIGXFSZ, SIG_IGN);
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &ten) == 0);
  const std::string message = error_of([&] { append_file(path, "second line\n"); });
  ::setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, ignored);
  CHECK(message.find("log.jsonl") != std::string::npos);
  append_file(path, "third\n");
  CHECK(read_file(path) == "first\nthird\n");
}

TEST_CASE("a folder has one writer at a time") {
  const TemporaryFolder folder;
  {
    const FolderLock first(folder.path);
    CHECK(error_of([&] { FolderLock second(folder.path); }).find("Another process") !=
          std::string::npos);
  }
  FolderLock third(folder.path);  // free again once the holder is gone
}

TEST_CASE("JSON keeps its order, and errors name file and position") {
  const TemporaryFolder folder;
  write_json(folder / "a.json",
             {{"zebra", 1}, {"ant", json_number(2.5)}, {"nan", json_number(0.0 / 0.0)}});
  CHECK(read_json(folder / "a.json").dump() == R"({"zebra":1,"ant":2.5,"nan":null})");
  write_json(folder / "latin.json", {{"name", "caf\xe9"}});  // a file's name need not be UTF-8
  CHECK(read_json(folder / "latin.json").at("name") == "caf\xef\xbf\xbd");
  write_file(folder / "b.json", "{\"a\": }");
  const std::string message = error_of([&] { read_json(folder / "b.json"); });
  CHECK(message.find("json.exception") == std::string::npos);
  CHECK(message.find("b.json") != std::string::npos);
  CHECK(message.find("column") != std::string::npos);
}
