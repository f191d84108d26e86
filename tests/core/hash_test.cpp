#include "core/hash.h"

#include <doctest/doctest.h>

#include "core/files.h"
#include "temporary.h"

using namespace rung;

TEST_CASE("sha256 gives FIPS 180-4's examples") {
  CHECK(sha256("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(sha256("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq") ==
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  CHECK(sha256(std::string(1'000'000, 'a')) ==
        "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  // Lengths around the block's padding: one more letter always changes the digest.
  for (size_t length = 54; length < 66; ++length)
    CHECK(sha256(std::string(length, 'x')) != sha256(std::string(length + 1, 'x')));
}

TEST_CASE("sha256 of a file is that of its bytes, empty ones included") {
  const TemporaryFolder folder;
  for (const std::string& text : {std::string(), std::string("abc"), std::string(70'000, 'q')}) {
    write_file(folder / "f", text);
    CHECK(sha256_file(folder / "f") == sha256(text));
  }
  CHECK_THROWS(sha256_file(folder / "absent"));
}
