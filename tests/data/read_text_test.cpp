#include "data/read_text.h"

#include <doctest/doctest.h>

#include <cstdlib>

#include "data/cut_text.h"
#include "data/temporary.h"

namespace rung {
namespace {

std::vector<std::string> documents(const fs::path& path) {
  std::vector<std::string> result;
  read_documents(path, [&](std::string&& text) { result.push_back(std::move(text)); });
  return result;
}

std::string failure(const fs::path& path) {
  return message_of([&] { documents(path); });
}

std::string blob(size_t size) {  // text that does not compress to nothing
  std::string text;
  for (uint32_t x = 1; text.size() < size; x = x * 1664525 + 1013904223)
    text += std::to_string(x >> 8) + (x & 0x10000 ? "\n\n" : " ");
  return text;
}

TEST_CASE("one text file is cut at form feeds, else headings, else 16 KiB at a blank line") {
  const TemporaryFolder folder;
  using Texts = std::vector<std::string>;
  CHECK(documents(folder.write("feed.txt", "# a\nx\f\f# b\n\f \n\fc")) ==
        Texts{"# a\nx", "# b\n", "c"});
  CHECK(documents(folder.write("head.txt", "intro\n# a\nx # y\n## z\n# b\nq")) ==
        Texts{"intro\n", "# a\nx # y\n## z\n", "# b\nq"});
  const std::string text = blob(100'000);
  const Texts pieces = documents(folder.write("plain.txt", text));
  std::string joined;
  for (size_t i = 0; i < pieces.size(); ++i) {
    CHECK(pieces[i].size() <= TextCutter::piece_bytes);
    if (i + 1 < pieces.size()) CHECK(pieces[i].ends_with("\n\n"));
    joined += pieces[i];
  }
  CHECK(joined == text);
  CHECK(pieces.size() >= 6);
}

TEST_CASE("the cut does not depend on how the text arrives") {
  for (const std::string& text :
       {"\n# a\n# b\n" + blob(40'000) + "\n# c", blob(70'000), "x\f" + blob(9000) + "\fy"}) {
    std::vector<std::string> whole, bits;
    TextCutter one(CutRule::by_content, [&](std::string&& piece) { whole.push_back(piece); });
    one.feed(text);
    one.finish();
    TextCutter many(one.rule(), [&](std::string&& piece) { bits.push_back(piece); });
    for (const char c : text) many.feed(std::string_view(&c, 1));
    many.finish();
    CHECK(whole == bits);
    CHECK(whole.size() > 1);
  }
}

TEST_CASE("a folder gives one document a file, sorted by relative path, hidden names left out") {
  const TemporaryFolder folder;
  folder.write("t/b.txt", "# bee\n# two");
  folder.write("t/a/z.md", "zed");
  folder.write("t/c.jsonl",
               "{\"text\": \"one\"}\n{\"n\": {\"text\": \"no\"}, \"text\": \"two\\u00e9\"}");
  folder.write("t/.git/config", "hidden");
  folder.write("t/empty.txt", "");
  CHECK(documents(folder / "t") ==
        std::vector<std::string>{"zed", "# bee\n# two", "one", "two\u00e9"});
}

TEST_CASE("packed files read as their content and say when they are cut or damaged") {
  const TemporaryFolder folder;
  const std::string text = blob(300'000);
  const fs::path plain = folder.write("t.txt", text);
  const auto expected = documents(plain);
  for (const std::string tool : {"xz", "zstd", "gzip"}) {
    const std::string ending = tool == "xz" ? ".xz" : tool == "zstd" ? ".zst" : ".gz";
    const fs::path packed = plain.string() + ending;
    const std::string command =
        tool + " -c " + plain.string() + " > " + packed.string() + " 2>/dev/null";
    if (std::system(command.c_str()) != 0) continue;  // the program is not installed
    CAPTURE(packed);
    CHECK(documents(packed) == expected);
    const std::string bytes = read_file(packed);
    folder.write("two" + ending, bytes + bytes);  // concatenated streams are one text
    std::string all;
    read_documents(folder / ("two" + ending), [&](std::string&& piece) { all += piece; });
    CHECK(all == text + text);
    const fs::path cut = folder.write("cut" + ending, bytes.substr(0, bytes.size() / 2));
    CHECK(has(failure(cut), "truncated"));
    CHECK(has(failure(folder.write("tail" + ending, bytes.substr(0, bytes.size() - 3))),
              "truncated"));
    std::string broken = bytes;
    for (size_t i = bytes.size() / 2; i < bytes.size() / 2 + 64; ++i)
      broken[i] = static_cast<char>(~broken[i]);
    CHECK(has(failure(folder.write("broken" + ending, broken)), "broken" + ending));
    CHECK(has(failure(folder.write("wrong" + ending, "just text")), "damaged"));
  }
}

TEST_CASE("bad data give one clear line") {
  const TemporaryFolder folder;
  fs::create_directories(folder / "none");
  CHECK(has(failure(folder / "missing"), "does not exist"));
  CHECK(has(failure(folder / "none"), "holds no files"));
  CHECK(has(failure(folder.write("empty.txt", "")), "is empty"));
  CHECK(has(failure(folder.write("blank.txt", " \n\n")), "is empty"));
  CHECK(has(failure(folder.write("empty.jsonl", "\n")), "is empty"));
  CHECK(has(failure(folder.write("nul.txt", std::string("ab\0c", 4))), "binary"));
  std::string latin;
  for (int i = 0; i < 50'000; ++i) latin += "\xE9\x20";
  CHECK(has(failure(folder.write("latin.txt", latin)), "UTF-8"));
  std::string few = blob(1000);
  few.push_back('\xFF');
  CHECK(failure(folder.write("few.txt", few)).empty());
  CHECK(has(failure(folder.write("torn.jsonl", "{\"text\": \"a\"}\n{\"text\": \"b")), "truncated"));
  CHECK(has(failure(folder.write("bad.jsonl", "{\"text\": \"a\"}\n{oops}\n{\"text\": \"b\"}\n")),
            "line 2 is not JSON"));
  CHECK(has(failure(folder.write("field.jsonl", "{\"id\": \"7\", \"body\": \"a word\"}\n")),
            "no string field \"text\". Received {\"id\": \"7\", \"body\": \"a word\"}... Rename "
            "\"body\", as jq -c '{text: .[\"body\"]}' does."));
  CHECK(has(failure(folder.write("nul.jsonl", "{\"text\": \"a\\u0000\"}\n")), "binary"));
  for (const char* name : {"missing", "empty.txt", "torn.jsonl", "nul.txt"})
    CHECK(failure(folder / name).find('\n') == std::string::npos);
}

}  // namespace
}  // namespace rung
