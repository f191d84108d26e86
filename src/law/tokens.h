// The words of an expression: what row filters (law/expression.h) and formulas of laws
// (law/formula_tree.h) are read from. Positions count characters from 1, for messages.
#pragma once
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace rung {

// `text`: in quotes " or '. `name`: a word, or anything in backticks (then `quoted`).
enum class TokenKind { number, name, text, symbol, end };

struct Token {
  TokenKind kind = TokenKind::end;
  std::string_view text{};  // without quotes
  double number = 0.0;
  bool quoted = false;
  size_t at = 1;
};

// A cursor over the tokens of one expression. `where` and `example` stand in its messages.
class Tokens {
 public:
  Tokens(std::string_view text, std::string_view where, std::string_view example);

  const Token& peek(size_t ahead = 0) const;
  Token next();                                // the current token, and moves on
  bool take(std::string_view symbol_or_word);  // moves on when the current token reads so
  bool done() const { return peek().kind == TokenKind::end; }
  std::string_view source() const { return text_; }

  // Usage error at the current token, or at a character.
  [[noreturn]] void wrong(std::string_view what) const { wrong(what, peek().at); }
  [[noreturn]] void wrong(std::string_view what, size_t at) const;

  // Counts a step of the parser; bounds the depth of its recursion.
  void enter();

 private:
  Token read(size_t& at) const;

  std::string_view text_, where_, example_;
  std::vector<Token> tokens_;
  size_t next_ = 0;
  int steps_ = 0;
};

// Functions of one argument with their first two derivatives.
struct NamedFunction {
  std::string_view name;
  double (*value)(double);
  double (*slope)(double);
  double (*curvature)(double);
};
std::span<const NamedFunction> named_functions();
const NamedFunction* find_function(std::string_view name);  // null when there is none

}  // namespace rung
