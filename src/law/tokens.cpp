#include "law/tokens.h"

#include <charconv>
#include <cmath>

#include "core/error.h"

namespace rung {
namespace {

constexpr int most_steps = 1000;

// Longer ones first: the first that matches is taken.
constexpr std::string_view symbols[] = {"||", "&&", "<=", ">=", "==", "!=", "**", "<", ">", "=",
                                        "!",  "+",  "-",  "*",  "/",  "^",  "(",  ")", ","};

bool is_word(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) || c == '_';
}

double sigmoid(double x) {
  return 1.0 / (1.0 + std::exp(-x));
}

constexpr double ln2 = 0.693147180559945309, ln10 = 2.302585092994045684;

constexpr NamedFunction functions[] = {
    {"log", [](double x) { return std::log(x); }, [](double x) { return 1.0 / x; },
     [](double x) { return -1.0 / (x * x); }},
    {"log2", [](double x) { return std::log2(x); }, [](double x) { return 1.0 / (ln2 * x); },
     [](double x) { return -1.0 / (ln2 * x * x); }},
    {"log10", [](double x) { return std::log10(x); }, [](double x) { return 1.0 / (ln10 * x); },
     [](double x) { return -1.0 / (ln10 * x * x); }},
    {"exp", [](double x) { return std::exp(x); }, [](double x) { return std::exp(x); },
     [](double x) { return std::exp(x); }},
    {"sqrt", [](double x) { return std::sqrt(x); }, [](double x) { return 0.5 / std::sqrt(x); },
     [](double x) { return -0.25 / (x * std::sqrt(x)); }},
    {"abs", [](double x) { return std::fabs(x); }, [](double x) { return std::copysign(1.0, x); },
     [](double) { return 0.0; }},
    {"tanh", [](double x) { return std::tanh(x); },
     [](double x) { return 1.0 - std::tanh(x) * std::tanh(x); },
     [](double x) { return -2.0 * std::tanh(x) * (1.0 - std::tanh(x) * std::tanh(x)); }},
    {"sigmoid", [](double x) { return sigmoid(x); },
     [](double x) { return sigmoid(x) * sigmoid(-x); },
     [](double x) { return sigmoid(x) * sigmoid(-x) * (sigmoid(-x) - sigmoid(x)); }},
};

}  // namespace

Tokens::Tokens(std::string_view text, std::string_view where, std::string_view example)
    : text_(text), where_(where), example_(example) {
  for (size_t at = 0;;) {
    tokens_.push_back(read(at));
    if (tokens_.back().kind == TokenKind::end) break;
  }
}

Token Tokens::read(size_t& at) const {
  while (at < text_.size() && std::isspace(static_cast<unsigned char>(text_[at]))) ++at;
  const std::string_view rest = text_.substr(at);
  Token token{.at = at + 1};
  if (rest.empty()) return token;
  const char c = rest[0];
  if (c == '"' || c == '\'' || c == '`') {
    const size_t end = rest.find(c, 1);
    if (end == std::string_view::npos) wrong("A quote is not closed", at + 1);
    token.kind = c == '`' ? TokenKind::name : TokenKind::text;
    token.text = rest.substr(1, end - 1);
    token.quoted = true;
    at += end + 1;
  } else if (std::isdigit(static_cast<unsigned char>(c)) || c == '.') {
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), token.number);
    if (error != std::errc()) wrong("No number", at + 1);
    token.kind = TokenKind::number;
    token.text = rest.substr(0, static_cast<size_t>(end - rest.data()));
    at += token.text.size();
  } else if (is_word(c)) {
    size_t length = 0;
    while (length < rest.size() &&
           (is_word(rest[length]) || (rest[length] == '.' && length + 1 < rest.size() &&
                                      std::isalpha(static_cast<unsigned char>(rest[length + 1])))))
      ++length;
    token.kind = TokenKind::name;
    token.text = rest.substr(0, length);
    at += length;
  } else {
    for (const std::string_view symbol : symbols) {
      if (rest.substr(0, symbol.size()) != symbol) continue;
      token.kind = TokenKind::symbol;
      token.text = symbol;
      at += symbol.size();
      return token;
    }
    wrong("Unexpected character", at + 1);
  }
  return token;
}

const Token& Tokens::peek(size_t ahead) const {
  return tokens_[std::min(next_ + ahead, tokens_.size() - 1)];
}

Token Tokens::next() {
  const Token token = peek();
  if (token.kind != TokenKind::end) ++next_;
  return token;
}

bool Tokens::take(std::string_view symbol_or_word) {
  const Token& token = peek();
  const bool plain = token.kind == TokenKind::symbol || token.kind == TokenKind::name;
  if (!plain || token.quoted || token.text != symbol_or_word) return false;
  ++next_;
  return true;
}

void Tokens::wrong(std::string_view what, size_t at) const {
  fail_usage("[{}] {} at character {}. Received {}. Example: {}.", where_, what, at, text_,
             example_);
}

void Tokens::enter() {
  if (++steps_ > most_steps) wrong("The expression is too long");
}

std::span<const NamedFunction> named_functions() {
  return functions;
}

const NamedFunction* find_function(std::string_view name) {
  for (const NamedFunction& function : functions)
    if (function.name == name) return &function;
  return nullptr;
}

}  // namespace rung
