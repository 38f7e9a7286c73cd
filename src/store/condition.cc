#include "store/condition.h"

#include <algorithm>
#include <optional>

#include "base/text.h"
#include "store/condition_tokens.h"
#include "store/condition_values.h"
#include "store/lookup.h"
#include "store/run_fields.h"

namespace vmette::store {
namespace {

using Parsed = std::expected<Condition, ConditionProblem>;
using Problem = std::unexpected<ConditionProblem>;

/// Nobody types more; they keep the parser and SQLite's own limit of depth (1000) far from their ends.
constexpr std::size_t kLongestText = 4000;
constexpr int kDeepest = 40;
constexpr int kMostValues = 200;

class Parser {
public:
    Parser(const std::vector<Token>& tokens, WallTime now) : tokens_(tokens), now_(now) {}

    Parsed whole() {
        auto condition = any();
        if (!condition) return condition;
        if (here().kind != Token::Kind::end) return wrong("\"and\" or \"or\" is expected before this");
        return condition;
    }

private:
    const Token& here() const { return tokens_[at_]; }
    bool is_word(std::string_view word) const { return here().kind == Token::Kind::word && lower(here().text) == word; }
    bool is_symbol(std::string_view symbol) const {
        return here().kind == Token::Kind::symbol && here().text == symbol;
    }
    bool accept_word(std::string_view word) { return is_word(word) && ++at_ != 0; }
    bool accept_symbol(std::string_view symbol) { return is_symbol(symbol) && ++at_ != 0; }
    Problem wrong(std::string message) const { return Problem({std::move(message), here().offset, here().length}); }

    Parsed any() {
        return several(Condition::Kind::any, "or", [this] { return all(); });
    }
    Parsed all() {
        return several(Condition::Kind::all, "and", [this] { return one(); });
    }

    template <typename Part>
    Parsed several(Condition::Kind kind, std::string_view word, Part&& part) {
        Condition whole{.kind = kind};
        do {
            auto next = part();
            if (!next) return next;
            whole.parts.push_back(*std::move(next));
        } while (accept_word(word));
        if (whole.parts.size() == 1) return std::move(whole.parts.front());
        return whole;
    }

    Parsed one() {
        if (++depth_ > kDeepest) return wrong(fmt::format("the condition is nested more than {} deep", kDeepest));
        auto condition = is_word("not") ? negation() : is_symbol("(") ? parenthesized() : comparison();
        --depth_;
        return condition;
    }

    Parsed negation() {
        ++at_;
        auto inner = one();
        if (!inner) return inner;
        return negated(*std::move(inner));
    }

    static Condition negated(Condition inner) {
        Condition outer{.kind = Condition::Kind::negation};
        outer.parts.push_back(std::move(inner));
        return outer;
    }

    Parsed parenthesized() {
        ++at_;
        auto inner = any();
        if (!inner) return inner;
        if (!accept_symbol(")")) return wrong("a closing parenthesis is expected here");
        return inner;
    }

    Parsed comparison() {
        Condition made;
        if (auto problem = read_field(made)) return Problem(*std::move(problem));
        bool denied = accept_word("not");
        auto op = accept_operator();
        if (!op) {
            if (denied) return wrong("in, like or glob is expected after \"not\"");
            if (kind_ != FieldKind::boolean)
                return wrong("a comparison is expected: =, !=, <, <=, >, >=, in, like, glob");
            made.values.emplace_back(std::int64_t{1});
            return made;
        }
        made.op = *op;
        bool by_word = made.op >= Condition::Operator::in;
        if (denied && !by_word) return wrong("\"not\" stands before the whole comparison, or before in, like and glob");
        auto problem = made.op == Condition::Operator::in ? read_list(made) : read_value(made);
        if (problem) return Problem(*std::move(problem));
        if (denied) return negated(std::move(made));
        return made;
    }

    std::optional<ConditionProblem> read_field(Condition& made) {
        const Token& token = here();
        field_ = harmless_line(token.text, 80);
        if (token.kind == Token::Kind::label) {
            made.label = token.text;
            field_ = "labels." + field_;
            kind_ = FieldKind::text;
        } else {
            if (token.kind != Token::Kind::word) return wrong("the name of a field is expected here").error();
            made.field = find_run_field(token.text);
            if (made.field == nullptr) {
                auto nearest = nearest_name(token.text, run_field_names());
                return wrong(fmt::format("there is no field \"{}\"{}", field_,
                                         nearest ? fmt::format("; did you mean {}?", *nearest) : ""))
                    .error();
            }
            kind_ = made.field->kind;
        }
        ++at_;
        return std::nullopt;
    }

    std::optional<Condition::Operator> accept_operator() {
        using enum Condition::Operator;
        struct Spelling {
            std::string_view text;
            Condition::Operator op;
        };
        static constexpr Spelling kSymbols[] = {{"=", equal}, {"==", equal},   {"!=", not_equal}, {"<>", not_equal},
                                                {"<", less},  {"<=", at_most}, {">", greater},    {">=", at_least}};
        static constexpr Spelling kWords[] = {{"in", in}, {"like", like}, {"glob", glob}};
        for (const auto& [text, op] : kSymbols)
            if (accept_symbol(text)) return op;
        for (const auto& [text, op] : kWords)
            if (accept_word(text)) return op;
        return std::nullopt;
    }

    std::optional<ConditionProblem> read_list(Condition& made) {
        if (!accept_symbol("(")) return wrong("a list in parentheses is expected after \"in\"").error();
        do {
            if (auto problem = read_value(made)) return problem;
        } while (accept_symbol(","));
        if (!accept_symbol(")")) return wrong("a comma or a closing parenthesis is expected here").error();
        return std::nullopt;
    }

    std::optional<ConditionProblem> read_value(Condition& made) {
        if (++values_ > kMostValues)
            return wrong(fmt::format("a condition has at most {} values", kMostValues)).error();
        bool pattern = made.op == Condition::Operator::like || made.op == Condition::Operator::glob;
        if (pattern && (kind_ != FieldKind::text || here().kind != Token::Kind::string))
            return wrong(kind_ == FieldKind::text ? "a pattern in quotes is expected here"
                                                  : fmt::format("{} is no text: it has no patterns", field_))
                .error();
        bool equality = made.op == Condition::Operator::equal || made.op == Condition::Operator::not_equal;
        if (is_word("null")) {
            if (!equality) return wrong("null can be asked for with = and != alone").error();
            made.values.emplace_back();
            ++at_;
            return std::nullopt;
        }
        auto value = kind_ == FieldKind::boolean ? boolean() : is_word("now") ? point_in_time() : literal();
        if (!value) return std::move(value).error();
        made.values.push_back(*std::move(value));
        return std::nullopt;
    }

    std::expected<SqlValue, ConditionProblem> boolean() {
        if (!is_word("true") && !is_word("false")) return wrong(fmt::format("{} is true or false", field_));
        return SqlValue(std::int64_t{tokens_[at_++].text.size() == 4});
    }

    std::expected<SqlValue, ConditionProblem> point_in_time() {
        if (kind_ != FieldKind::time) return wrong(fmt::format("{} is no time", field_));
        ++at_;
        std::int64_t when = now_.time_since_epoch().count();
        if (!accept_symbol("-")) return SqlValue(when);
        auto ago = condition_duration(here());
        if (!ago) return Problem(std::move(ago).error());
        ++at_;
        return SqlValue(when - *ago);
    }

    std::expected<SqlValue, ConditionProblem> literal() {
        bool negative = kind_ == FieldKind::number && accept_symbol("-");
        auto value = condition_value(here(), kind_, field_);
        if (!value) return value;
        ++at_;
        if (negative)
            std::visit(
                [](auto& held) {
                    if constexpr (std::is_arithmetic_v<std::decay_t<decltype(held)>>) held = -held;
                },
                *value);
        return value;
    }

    const std::vector<Token>& tokens_;
    WallTime now_;
    std::size_t at_ = 0;
    int depth_ = 0;
    int values_ = 0;
    std::string field_;  ///< of the comparison that is read, for messages
    FieldKind kind_ = FieldKind::text;
};

}  // namespace

Parsed parse_condition(std::string_view text, WallTime now) {
    if (text.size() > kLongestText)
        return Problem(
            {fmt::format("a condition has at most {} bytes, this one has {}", kLongestText, text.size()), 0, 1});
    auto tokens = condition_tokens(text);
    if (!tokens) return Problem(std::move(tokens).error());
    return Parser(*tokens, now).whole();
}

std::string show_problem(std::string_view text, const ConditionProblem& problem) {
    // Shown with its escapes, so the caret goes by what is shown.
    constexpr std::size_t kShown = 60;
    std::size_t start = problem.offset > kShown ? problem.offset - kShown : 0;
    while (start > 0 && (static_cast<unsigned char>(text[start]) & 0xC0) == 0x80) --start;
    std::string before = harmless_line(text.substr(start, problem.offset - start), kLongestText);
    std::string rest = harmless_line(text.substr(problem.offset, kShown), kLongestText);
    auto continues = [](char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; };
    auto columns = before.size() - static_cast<std::size_t>(std::ranges::count_if(before, continues));
    return fmt::format("  {}{}\n  {}{}\n", before, rest, std::string(columns, ' '),
                       std::string(std::clamp<std::size_t>(problem.length, 1, kShown), '^'));
}

}  // namespace vmette::store
