#include "core/safetensors.h"

#include <doctest/doctest.h>

#include <cstring>

#include "core/error.h"
#include "core/random.h"
#include "temporary.h"

using namespace rung;

namespace {

std::string with_header(const std::string& header, const std::string& data) {
  const uint64_t length = header.size();
  std::string file(reinterpret_cast<const char*>(&length), sizeof length);
  return file + header + data;
}

std::string refusal(const TemporaryFolder& folder, const std::string& content) {
  write_file(folder / "damaged.safetensors", content);
  return error_of([&] { Safetensors file(folder / "damaged.safetensors"); });
}

}  // namespace

TEST_CASE("safetensors round trip: names, types, shapes, bytes, metadata, alignment") {
  const TemporaryFolder folder;
  const std::array<float, 6> values{1, 2, 3, 4, 5, 6};
  const std::array<int64_t, 1> step{7};
  const std::vector<TensorBlock> blocks = {
      {"w", "F32", {2, 3}, std::as_bytes(std::span(values))},
      {"step", "I64", {}, std::as_bytes(std::span(step))},
      {"none", "BF16", {0, 4}, {}},
  };
  const auto path = folder / "a.safetensors";
  write_safetensors(path, blocks, {{"format", "pt"}});
  const Safetensors file(path);
  REQUIRE(file.blocks().size() == 3);
  CHECK(file.metadata().at("format") == "pt");
  CHECK(file.blocks()[0].name == "w");
  CHECK(file.at("w").shape == std::vector<int64_t>{2, 3});
  CHECK(std::memcmp(file.at("w").bytes.data(), values.data(), sizeof values) == 0);
  CHECK(file.at("step").shape.empty());
  CHECK(file.at("none").bytes.empty());
  CHECK(file.find("absent") == nullptr);
  CHECK(error_of([&] { file.at("absent"); }).find("a.safetensors holds no tensor absent") !=
        std::string::npos);
  const std::string bytes = read_file(path);
  uint64_t length = 0;
  std::memcpy(&length, bytes.data(), 8);
  CHECK(length % 8 == 0);
  CHECK(bytes.size() == 8 + length + 24 + 8);
  write_safetensors(path, {});
  CHECK(Safetensors(path).blocks().empty());
}

TEST_CASE("safetensors refuses to write what it could not read back") {
  const TemporaryFolder folder;
  const std::array<float, 2> v{1, 2};
  const auto bytes = std::as_bytes(std::span(v));
  const auto write = [&](std::vector<TensorBlock> blocks) {
    return error_of([&] { write_safetensors(folder / "x", blocks); });
  };
  CHECK(write({{"w", "F32", {3}, bytes}}).find("disagree") != std::string::npos);
  CHECK(write({{"w", "F31", {2}, bytes}}).find("F31") != std::string::npos);
  CHECK(write({{"w", "F32", {2}, bytes}, {"w", "F32", {2}, bytes}}).find("twice") !=
        std::string::npos);
  CHECK(write({{"w", "F32", {-1, -2}, bytes}}).find("disagree") != std::string::npos);
  CHECK_FALSE(fs::exists(folder / "x"));
  CHECK_FALSE(fs::exists(folder / "x.tmp"));
}

TEST_CASE("damaged safetensors headers are all refused by name") {
  const TemporaryFolder folder;
  const std::string good = R"({"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";
  const std::string data(8, 'x');
  CHECK(refusal(folder, with_header(good, data)) == "nothing was thrown");
  struct Case {
    std::string content, reason;
  };
  const auto header = [&](const std::string& text) { return with_header(text, data); };
  const std::vector<Case> cases = {
      {"", "hold no header"},
      {"1234567", "hold no header"},
      {with_header(good, "").substr(0, 20), "cut off"},
      {std::string(8, '\xff') + good + data, "cut off"},
      {with_header(good, "xxxx"), "leave the data"},
      {with_header(good, data + "y"), "behind the last tensor"},
      {header(""), "does not begin with a brace"},
      {header("[1]"), "does not begin with a brace"},
      {header("{\"w\":"), "not JSON"},
      {header("{} {}"), "not JSON"},
      {header("{}"), "behind the last tensor"},
      {header(R"({"w":3})"), "no dtype"},
      {header(R"({"w":{"shape":[2],"data_offsets":[0,8]}})"), "no dtype"},
      {header(R"({"w":{"dtype":32,"shape":[2],"data_offsets":[0,8]}})"), "no dtype"},
      {header(R"({"w":{"dtype":"F33","shape":[2],"data_offsets":[0,8]}})"), "unknown dtype F33"},
      {header(R"({"w":{"dtype":"F32","data_offsets":[0,8]}})"), "shape is no list"},
      {header(R"({"w":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}})"), "shape is no list"},
      {header(R"({"w":{"dtype":"F32","shape":[2.0],"data_offsets":[0,8]}})"), "shape is no list"},
      {header(R"({"w":{"dtype":"F32","shape":[18446744073709551615],"data_offsets":[0,8]}})"),
       "too large"},
      {header(R"({"w":{"dtype":"F32","shape":[4611686018427387905,4],"data_offsets":[0,8]}})"),
       "want -1 bytes"},
      {header(R"({"w":{"dtype":"F32","shape":[2]}})"), "no pair"},
      {header(R"({"w":{"dtype":"F32","shape":[2],"data_offsets":[0,4,8]}})"), "no pair"},
      {header(R"({"w":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}})"), "leave the data"},
      {header(R"({"w":{"dtype":"F32","shape":[2],"data_offsets":[0,18446744073709551608]}})"),
       "leave the data"},
      {header(R"({"w":{"dtype":"F32","shape":[1],"data_offsets":[0,8]}})"), "want 4 bytes"},
      {header(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})"), "a hole"},
      {header(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
              R"("b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})"),
       "an overlap"},
      {header(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
              R"("a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})"),
       "a stands twice"},
      {header(R"({"__metadata__":{"n":3},"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})"),
       "metadata n is no string"},
      {header(R"({"__metadata__":3,"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})"),
       "__metadata__ is no object"},
  };
  for (const Case& damaged : cases) {
    const std::string message = refusal(folder, damaged.content);
    CAPTURE(message);
    CHECK(message.find("damaged.safetensors") != std::string::npos);
    CHECK_MESSAGE(message.find(damaged.reason) != std::string::npos, damaged.reason);
  }
}

TEST_CASE("randomly damaged safetensors never crash: they are read or refused") {
  const TemporaryFolder folder;
  const std::string good =
      with_header(R"({"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", std::string(8, 'x'));
  Random random(1, "fuzz");
  int refused = 0;
  for (int i = 0; i < 300; ++i) {
    std::string content = good;
    for (uint64_t hits = 1 + random.below(3); hits > 0; --hits)
      content[random.below(content.size())] = static_cast<char>(random.below(256));
    if (random.below(4) == 0) content.resize(random.below(content.size()));
    const std::string message = refusal(folder, content);
    refused += message.starts_with("[safetensors]");
    CHECK_MESSAGE((message.starts_with("[safetensors]") || message == "nothing was thrown"),
                  message);
  }
  CHECK(refused > 150);
}
