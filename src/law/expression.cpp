#include "law/expression.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <functional>

#include "core/error.h"
#include "core/nearest.h"
#include "law/tokens.h"

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

// A column with an empty cell or a word somewhere has text in every row, and its zeros are false
// too.
bool is_true(const Value& value) {
  return std::isnan(value.number) ? !value.text.empty() : value.number != 0.0;
}

// Recursive descent; every rule returns a function of the row's index.
class Parser {
 public:
  Parser(const Table& table, std::string_view text,
         const std::map<std::string, std::string>& mapping)
      : table_(table), tokens_(text, "where", "C>1e18 && N<D"), mapping_(mapping) {}

  Node parse() {
    Node node = either();
    if (!tokens_.done()) tokens_.wrong("Unexpected text");
    return node;
  }

 private:
  bool take(std::string_view token) { return tokens_.take(token); }
  void enter() { tokens_.enter(); }

  Node either() {
    Node left = both();
    while (take("||") || take("or")) {
      left = [left, right = both()](size_t row) {
        return number(is_true(left(row)) || is_true(right(row)));
      };
      enter();
    }
    return left;
  }
  Node both() {
    Node left = negation();
    while (take("&&") || take("and")) {
      left = [left, right = negation()](size_t row) {
        return number(is_true(left(row)) && is_true(right(row)));
      };
      enter();
    }
    return left;
  }
  Node negation() {
    if (take("not") || take("!")) {
      enter();
      return [inner = negation()](size_t row) { return number(!is_true(inner(row))); };
    }
    return comparison();
  }
  Node comparison() {
    words_.clear();
    Node left = sum();
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
    if (take("(")) return closed();
    const Token token = tokens_.peek();
    if (token.kind == TokenKind::end) tokens_.wrong("The expression ends too early");
    if (token.kind == TokenKind::symbol) tokens_.wrong("Unexpected character");
    tokens_.next();
    if (token.kind == TokenKind::number)
      return [value = token.number](size_t) { return number(value); };
    if (token.kind == TokenKind::text)
      return [text = std::string(token.text)](size_t) {
        return Value{.number = std::nan(""), .is_text = true, .text = text};
      };
    const NamedFunction* function = token.quoted ? nullptr : find_function(token.text);
    if (!function || !take("(")) return column(std::string(token.text));
    return [inner = closed(), apply = function->value](size_t row) {
      return number(apply(inner(row).number));
    };
  }
  Node closed() {
    Node inner = either();
    if (!take(")")) tokens_.wrong("A parenthesis is not closed");
    return inner;
  }
  Node column(const std::string& name) {
    const Column* found = table_.find(name);
    if (mapping_.contains(name) || !found) found = match_column(table_, name, mapping_);
    if (!found) return derived(name);
    if (found->text.empty()) return [found](size_t row) { return number(found->values[row]); };
    words_ = name;
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
    // `val/loss` reads as a quotient: its column stands in backticks.
    const auto whole = std::find_if(names.begin(), names.end(), [&](std::string_view column) {
      return column.size() > name.size() && column.starts_with(name) &&
             !std::isalnum(static_cast<unsigned char>(column[name.size()]));
    });
    if (whole != names.end())
      fail_usage(
          "[where] {} has no column {}. Names with other characters stand in backticks: `{}`.",
          table_.source, name, *whole);
    if (!words_.empty())
      fail_usage(
          "[where] {} has no column {}. A text that a column of words is compared with stands in "
          "quotes: {}==\"{}\".",
          table_.source, name, words_, name);
    fail_usage("[where] {} has no such column. Received {}. The nearest is {}.", table_.source,
               name, nearest_name(name, names));
  }

  const Table& table_;
  Tokens tokens_;
  std::string words_;  // the column of texts that the present comparison has named
  const std::map<std::string, std::string>& mapping_;
};

}  // namespace

std::vector<size_t> filter_rows(const Table& table, std::string_view expression,
                                const std::map<std::string, std::string>& mapping) {
  std::vector<size_t> rows;
  const bool all = expression.find_first_not_of(" \t\n") == std::string_view::npos;
  const Node keep =
      all ? Node([](size_t) { return number(1.0); }) : Parser(table, expression, mapping).parse();
  for (size_t row = 0; row < table.rows; ++row)
    if (is_true(keep(row))) rows.push_back(row);
  return rows;
}

Table part_of(const Table& table, const std::vector<size_t>& rows) {
  Table part{.rows = rows.size(), .header_lines = table.header_lines, .source = table.source};
  for (const Column& column : table.columns) {
    Column& own = part.columns.emplace_back(Column{.name = column.name});
    for (const size_t row : rows) {
      own.values.push_back(column.values[row]);
      if (!column.text.empty()) own.text.push_back(column.text[row]);
    }
  }
  part.numbers = rows;
  part.index = table.index;
  return part;
}

}  // namespace rung
