#include "store/condition_tokens.h"

#include "base/text.h"

namespace vmette::store {
namespace {

using Problem = std::unexpected<ConditionProblem>;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

class Scanner {
public:
    explicit Scanner(std::string_view text) : text_(text) {}

    std::expected<std::vector<Token>, ConditionProblem> all() {
        std::vector<Token> tokens;
        while (true) {
            while (at_ < text_.size() && is_blank(text_[at_])) ++at_;
            if (at_ == text_.size()) break;
            auto token = next();
            if (!token) return Problem(std::move(token).error());
            tokens.push_back(*std::move(token));
        }
        tokens.push_back({Token::Kind::end, "", at_, 1});
        return tokens;
    }

private:
    std::expected<Token, ConditionProblem> next() {
        char first = text_[at_];
        if (first == '"' || first == '\'') return quoted(Token::Kind::string, at_);
        if (is_digit(first))
            return take(Token::Kind::number, [](char c) { return is_digit(c) || is_letter(c) || c == '.'; });
        if (is_letter(first)) return word();
        static constexpr std::string_view kSymbols[] = {"==", "!=", "<>", "<=", ">=", "=",
                                                        "<",  ">",  "(",  ")",  ",",  "-"};
        for (std::string_view symbol : kSymbols)
            if (text_.substr(at_).starts_with(symbol)) {
                Token token{Token::Kind::symbol, std::string(symbol), at_, symbol.size()};
                at_ += symbol.size();
                return token;
            }
        return Problem({fmt::format("unexpected '{}'", harmless_line(text_.substr(at_, 1))), at_, 1});
    }

    template <typename Belongs>
    Token take(Token::Kind kind, Belongs&& belongs) {
        std::size_t start = at_;
        while (at_ < text_.size() && belongs(text_[at_])) ++at_;
        return {kind, std::string(text_.substr(start, at_ - start)), start, at_ - start};
    }

    std::expected<Token, ConditionProblem> word() {
        std::size_t start = at_;
        constexpr std::string_view kLabels = "labels.";
        if (!text_.substr(at_).starts_with(kLabels))
            return take(Token::Kind::word, [](char c) { return is_letter(c) || is_digit(c) || c == '.'; });
        at_ += kLabels.size();
        if (at_ < text_.size() && (text_[at_] == '"' || text_[at_] == '\'')) return quoted(Token::Kind::label, start);
        Token label = take(Token::Kind::label,
                           [](char c) { return is_letter(c) || is_digit(c) || c == '.' || c == '-' || c == '/'; });
        if (label.text.empty())
            return Problem({"the name of a label is expected after \"labels.\"", start, kLabels.size()});
        label.length = at_ - start;
        label.offset = start;
        return label;
    }

    /// A backslash keeps the character after it from having a meaning.
    std::expected<Token, ConditionProblem> quoted(Token::Kind kind, std::size_t start) {
        char quote = text_[at_++];
        std::string content;
        while (at_ < text_.size() && text_[at_] != quote) {
            if (text_[at_] == '\\' && at_ + 1 < text_.size()) ++at_;
            content += text_[at_++];
        }
        if (at_ == text_.size()) return Problem({"the text that begins here has no closing quote", start, 1});
        ++at_;
        return Token{kind, std::move(content), start, at_ - start};
    }

    std::string_view text_;
    std::size_t at_ = 0;
};

}  // namespace

std::expected<std::vector<Token>, ConditionProblem> condition_tokens(std::string_view text) {
    return Scanner(text).all();
}

}  // namespace vmette::store
