#include "core/events.h"

#include <doctest/doctest.h>

#include <cstring>

#include "core/crc32c.h"
#include "core/error.h"
#include "core/files.h"
#include "temporary.h"

using namespace rung;

TEST_CASE("a torn last line of a log is dropped on opening; whole lines stay") {
  const TemporaryFolder folder;
  const auto path = folder / "log.jsonl";
  {
    JsonLog log(path);
    log.write({{"event", "step"}, {"step", 1}});
    log.write({{"event", "step"}, {"step", 2}}, true);
  }
  append_file(path, R"({"event": "st)");
  CHECK(read_json_lines(path).size() == 2);
  JsonLog log(path);
  log.write({{"event", "resume"}});
  const std::vector<Json> events = read_json_lines(path);
  REQUIRE(events.size() == 3);
  CHECK(events[1]["step"] == 2);
  CHECK(events[2]["event"] == "resume");
  write_file(folder / "torn", "{\"a\"");
  JsonLog torn(folder / "torn");
  CHECK(read_file(folder / "torn").empty());
  write_file(folder / "bad", "{}\n{]\n");
  CHECK(error_of([&] { read_json_lines(folder / "bad"); }).find("line 2") != std::string::npos);
}

TEST_CASE("CRC-32C gives the standard check value and TensorBoard's mask") {
  CHECK(crc32c("123456789") == 0xE3069283u);
  CHECK(crc32c(std::string(32, '\0')) == 0x8A9136AAu);  // RFC 3720, B.4
  std::string rising;
  for (char c = 0; c < 32; ++c) rising += c;
  CHECK(crc32c(rising) == 0x46DD794Eu);
  // The first record of real event files is 24 bytes long; these bytes follow its length.
  CHECK(masked_crc32c(std::string("\x18\0\0\0\0\0\0\0", 8)) == 0x224b7fa3u);
}

TEST_CASE("TensorBoard files: framing, file version first, then scalars") {
  const TemporaryFolder folder;
  {
    TensorBoard board(folder.path);
    board.scalar("loss", 300, 2.5);
    TensorBoard second(folder.path);
  }
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder.path)) files.push_back(entry.path());
  REQUIRE(files.size() == 2);
  if (fs::file_size(files[0]) < fs::file_size(files[1])) std::swap(files[0], files[1]);
  CHECK(files[0].filename().string().starts_with("events.out.tfevents."));
  const std::string bytes = read_file(files[0]);
  std::vector<std::string> events;
  for (size_t at = 0; at < bytes.size();) {
    uint64_t length = 0;
    uint32_t crc = 0;
    std::memcpy(&length, bytes.data() + at, 8);
    std::memcpy(&crc, bytes.data() + at + 8, 4);
    CHECK(crc == masked_crc32c(bytes.substr(at, 8)));
    events.push_back(bytes.substr(at + 12, length));
    std::memcpy(&crc, bytes.data() + at + 12 + length, 4);
    CHECK(crc == masked_crc32c(events.back()));
    at += 16 + length;
  }
  REQUIRE(events.size() == 2);
  CHECK(bytes.substr(8, 4) == "\xa3\x7f\x4b\x22");
  CHECK(events[0][0] == '\x09');  // field 1, wall time, double
  CHECK(events[0].substr(9) ==
        "\x1a\x0d"
        "brain.Event:2");
  // Step 300 is the varint ac 02; the summary holds a value with tag "loss" and the float 2.5.
  const std::string scalar = std::string("\x0a\x04loss\x15\0\0\x20\x40", 11);
  CHECK(events[1].substr(9) == "\x10\xac\x02\x2a\x0d\x0a\x0b" + scalar);
}
