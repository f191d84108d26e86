#include "law/expression.h"

#include <charconv>
#include <cmath>
#include <functional>

#include "core/error.h"
#include "core/nearest.h"

namespace rung {
namespace {

struct Value {
  double number = 0.0;
  bool is_text = false;
  std::string_view text{};
};
using Node = std::function<Value(size_t row)>;

Value number(double value) {
  return {.number = value};
}

double truth(const Value& value) {
  return value.is_text ? !value.text.empty() : value.number != 0.0;
}

struct NamedFunction {
  std::string_view name;
  double (*apply)(double);
};
constexpr NamedFunction functions[] = {
    {"log", [](double x) { return std::log(x); }},
    {"log2", [](double x) { return std::log2(x); }},
    {"log10", [](double x) { return std::log10(x); }},
    {"exp", [](double x) { return std::exp(x); }},
    {"sqrt", [](double x) { return std::sqrt(x); }},
    {"abs", [](double x) { return std::fabs(x); }},
};

// Recursive descent; every rule returns a function of the row's index.
class Parser {
 public:
  Parser(const Table& table, std::string_view text,
         const std::map<std::string, std::string>& mapping)
      : table_(table), text_(text), rest_(text), mapping_(mapping) {}

  Node parse() {
    Node node = either();
    skip();
    if (!rest_.empty()) wrong("Unexpected text");
    return node;
  }

 private:
  [[noreturn]] void wrong(std::string_view what) {
    fail_usage("[where] {} at character {}. Received {}. Example: C>1e18 && N<D.", what,
               text_.size() - rest_.size() + 1, text_);
  }
  void skip() {
    while (!rest_.empty() && std::isspace(static_cast<unsigned char>(rest_[0])))
      rest_.remove_prefix(1);
  }
  static bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; }
  bool take(std::string_view token) {
    skip();
    if (rest_.substr(0, token.size()) != token) return false;
    if (is_word(token[0]) && rest_.size() > token.size() && is_word(rest_[token.size()]))
      return false;
    rest_.remove_prefix(token.size());
    return true;
  }

  Node either() {
    Node left = both();
    while (take("||") || take("or")) {
      left = [left, right = both()](size_t row) {
        return number(truth(left(row)) != 0.0 || truth(right(row)) != 0.0);
      };
      enter();
    }
    return left;
  }
  Node both() {
    Node left = negation();
    while (take("&&") || take("and")) {
      left = [left, right = negation()](size_t row) {
        return number(truth(left(row)) != 0.0 && truth(right(row)) != 0.0);
      };
      enter();
    }
    return left;
  }
  Node negation() {
    skip();
    if (take("not") || (rest_.substr(0, 2) != "!=" && take("!"))) {
      enter();
      return [inner = negation()](size_t row) { return number(truth(inner(row)) == 0.0); };
    }
    return comparison();
  }
  Node comparison() {
    Node left = sum();
    skip();
    for (const std::string_view op : {"<=", ">=", "==", "!=", "<", ">", "="}) {
      if (!take(op)) continue;
      Node right = sum();
      return [left, right, op](size_t row) {
        const Value a = left(row), b = right(row);
        return number(a.is_text && b.is_text ? compare(op, a.text.compare(b.text), 0.0)
                                             : compare(op, a.number, b.number));
      };
    }
    return left;
  }
  static bool compare(std::string_view op, double a, double b) {
    if (std::isnan(a) || std::isnan(b)) return false;
    if (op == "<=") return a <= b;
    if (op == ">=") return a >= b;
    if (op == "!=") return a != b;
    if (op == "<") return a < b;
    if (op == ">") return a > b;
    return a == b;
  }
  template <class Apply>
  Node combine(Node left, Node right, Apply apply) {
    enter();
    return [left = std::move(left), right = std::move(right), apply](size_t row) {
      return number(apply(left(row).number, right(row).number));
    };
  }
  Node sum() {
    Node left = product();
    while (true) {
      if (take("+"))
        left = combine(left, product(), [](double a, double b) { return a + b; });
      else if (take("-"))
        left = combine(left, product(), [](double a, double b) { return a - b; });
      else
        return left;
    }
  }
  Node product() {
    Node left = unary();
    while (true) {
      if (take("*"))
        left = combine(left, unary(), [](double a, double b) { return a * b; });
      else if (take("/"))
        left = combine(left, unary(), [](double a, double b) { return a / b; });
      else
        return left;
    }
  }
  Node unary() {
    enter();
    if (take("-"))
      return combine([](size_t) { return number(0.0); }, unary(),
                     [](double a, double b) { return a - b; });
    Node base = primary();
    if (take("^") || take("**"))
      return combine(base, unary(), [](double a, double b) { return std::pow(a, b); });
    return base;
  }
  Node primary() {
    enter();
    skip();
    if (take("(")) {
      Node inner = either();
      if (!take(")")) wrong("A parenthesis is not closed");
      return inner;
    }
    if (rest_.empty()) wrong("The expression ends too early");
    const char c = rest_[0];
    if (c == '"' || c == '\'' || c == '`') return quoted(c);
    if (std::isdigit(static_cast<unsigned char>(c)) || c == '.') return literal();
    size_t length = 0;
    while (length < rest_.size() && is_word(rest_[length])) ++length;
    if (length == 0) wrong("Unexpected character");
    const std::string name(rest_.substr(0, length));
    rest_.remove_prefix(length);
    for (const NamedFunction& function : functions)
      if (function.name == name && take("(")) return call(function);
    return column(name);
  }
  Node call(const NamedFunction& function) {
    Node inner = either();
    if (!take(")")) wrong("A parenthesis is not closed");
    return [inner, apply = function.apply](size_t row) { return number(apply(inner(row).number)); };
  }
  Node literal() {
    double value = 0.0;
    const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), value);
    if (error != std::errc()) wrong("No number");
    rest_.remove_prefix(static_cast<size_t>(end - rest_.data()));
    return [value](size_t) { return number(value); };
  }
  Node quoted(char quote) {
    const size_t end = rest_.find(quote, 1);
    if (end == std::string_view::npos) wrong("A quote is not closed");
    std::string text(rest_.substr(1, end - 1));
    rest_.remove_prefix(end + 1);
    if (quote == '`') return column(text);
    return [text](size_t) { return Value{.number = std::nan(""), .is_text = true, .text = text}; };
  }
  Node column(const std::string& name) {
    const Column* found = table_.find(name);
    if (mapping_.contains(name) || !found) found = match_column(table_, name, mapping_);
    if (!found) return derived(name);
    if (found->text.empty()) return [found](size_t row) { return number(found->values[row]); };
    return [found](size_t row) {
      return Value{.number = found->values[row], .is_text = true, .text = found->text[row]};
    };
  }
  // C = 6 N D and D = C / (6 N) where the table lacks them.
  Node derived(const std::string& name) {
    const Column* n = match_column(table_, "N", mapping_);
    const Column* other = match_column(table_, name == "C" ? "D" : "C", mapping_);
    if (n && other && name == "C")
      return [n, other](size_t row) { return number(6.0 * n->values[row] * other->values[row]); };
    if (n && other && name == "D")
      return [n, other](size_t row) { return number(other->values[row] / (6.0 * n->values[row])); };
    std::vector<std::string_view> names;
    for (const Column& column : table_.columns) names.push_back(column.name);
    fail_usage("[where] {} has no such column. Received {}. The nearest is {}.", table_.source,
               name, nearest_name(name, names));
  }
  void enter() {
    if (++steps_ > 1000) wrong("The expression is too long");
  }

  const Table& table_;
  std::string_view text_, rest_;
  const std::map<std::string, std::string>& mapping_;
  int steps_ = 0;
};

}  // namespace

std::vector<size_t> filter_rows(const Table& table, std::string_view expression,
                                const std::map<std::string, std::string>& mapping) {
  std::vector<size_t> rows;
  const bool all = expression.find_first_not_of(" \t\n") == std::string_view::npos;
  const Node keep =
      all ? Node([](size_t) { return number(1.0); }) : Parser(table, expression, mapping).parse();
  for (size_t row = 0; row < table.rows; ++row)
    if (truth(keep(row)) != 0.0) rows.push_back(row);
  return rows;
}

}  // namespace rung
