#include "manifest/shell_scanner.h"

#include <algorithm>

namespace vmette::manifest {
namespace {

constexpr std::string_view kBetweenWords = " \t\n;&|()<>";

bool any_of(std::string_view characters, char c) { return characters.find(c) != characters.npos; }

bool ends_word(char c) { return any_of(kBetweenWords, c); }

bool name_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/// The length of "((…))" that is arithmetic to every shell, whatever stands around it; 0: may be something else.
std::size_t simple_arithmetic(std::string_view text) {
    std::size_t end = 2;
    while (end < text.size() && (name_char(text[end]) || any_of(" $+-*/%<>=!&|?:", text[end]))) ++end;
    return text.substr(end).starts_with("))") ? end + 2 : 0;
}

/// Whether a line of a body could make a shell look for the end of the here-document elsewhere: an expansion may go on
/// behind the end of its line.
bool may_run_on(std::string_view line) {
    if (line.ends_with('\\') || line.find('`') != line.npos) return true;
    for (std::size_t at = line.find('$'); at != line.npos; at = line.find('$', at + 1)) {
        std::string_view rest = line.substr(at + 1);
        if (rest.starts_with('(')) return true;
        if (!rest.starts_with('{')) continue;
        auto after_name = std::find_if_not(rest.begin() + 1, rest.end(), name_char);
        if (after_name == rest.end() || *after_name != '}') return true;
    }
    return false;
}

}  // namespace

void ShellScanner::text(std::string_view piece) {
    for (std::size_t at = 0; at < piece.size() && !lost_;) {
        if (in_body_ || in_comment_) {
            body_char(piece[at++]);
            continue;
        }
        at = step(piece, at);
    }
}

ShellScanner::Inside ShellScanner::value() {
    bool unclear = lost_ || in_body_ || in_comment_;
    if (in_body_) body_line_ += '\1';
    // Single quotes hold everything; elsewhere \ and $ would take the value's first character with them.
    if (!in(Frame::single_quotes)) unclear = unclear || escaped_ || after_dollar_;
    escaped_ = after_dollar_ = false;
    previous_ = 'v';
    bool top = frames_.empty();
    auto plain = [](Frame frame) { return frame == Frame::parenthesis; };
    if (unclear || !std::all_of(frames_.begin(), frames_.end() - (top ? 0 : 1), plain)) return Inside::unclear;
    if (top || plain(frames_.back())) return Inside::words;
    if (in(Frame::single_quotes)) return Inside::single_quotes;
    return in(Frame::double_quotes) ? Inside::double_quotes : Inside::unclear;
}

bool ShellScanner::below_double_quotes() const {
    return std::find(frames_.begin(), frames_.end(), Frame::double_quotes) != frames_.end();
}

/// One character, or one thing of several, in code. Returns the offset past it.
std::size_t ShellScanner::step(std::string_view piece, std::size_t at) {
    char c = piece[at];
    if (in(Frame::single_quotes)) {
        in_single_quotes(c);
        return at + 1;
    }
    if (in(Frame::backquotes)) {
        in_backquotes(c);
        return at + 1;
    }
    if (escaped_) {
        after_backslash(piece.substr(at));
        return at + 1;
    }
    if (after_dollar_) {
        after_dollar_ = false;
        if (c == '(' || c == '{') return dollar(piece, at);
        // What $'…' holds has escapes that depend on the shell; to some $[…] is arithmetic; \ may be taken away with a
        // line break behind it.
        if ((c == '\'' && !in(Frame::double_quotes)) || c == '[' || c == '\\') lost_ = true;
        if (c == '$') {
            process_id(piece.substr(at + 1));
            return at + 1;
        }
    }
    // To some shells quotes are only characters here.
    if (in(Frame::brace) && below_double_quotes() && any_of("'\"\\`", c)) lost_ = true;
    if (c == '\\') {
        escaped_ = true;
        return at + 1;
    }
    if (c == '$') {
        after_dollar_ = true;
    } else if (c == '`') {
        frames_.push_back(Frame::backquotes);
    } else if (c == '"') {
        toggle(Frame::double_quotes);
    } else if (!in(Frame::double_quotes)) {
        return unquoted(piece, at);
    } else if (c == '\n') {
        quoted_line_end();
    }
    previous_ = c == '$' || c == '`' || c == '"' ? c : 'q';
    return at + 1;
}

void ShellScanner::in_single_quotes(char c) {
    if (c == '\n') quoted_line_end();
    if (c == '\'') frames_.pop_back();
    previous_ = '\'';
}

void ShellScanner::in_backquotes(char c) {
    if (c == '\n') quoted_line_end();
    // A shell looks for the closing one first and reads what is between them afterwards, by rules of its own.
    if (any_of("'\"\\#", c) || (c == '<' && previous_ == '<')) lost_ = true;
    if (c == '`') frames_.pop_back();
    previous_ = c;
}

void ShellScanner::after_backslash(std::string_view rest) {
    escaped_ = false;
    if (rest[0] != '\n') {
        previous_ = '\\';
        return;
    }
    quoted_line_end();
    if (in(Frame::double_quotes)) return;
    // The two are taken away and may join what is around them: "<" and "<", "$" and "(", the two halves of a word.
    if (!any_of(" \t\n;&|", previous_) || rest.substr(1).starts_with('#')) lost_ = true;
    previous_ = ' ';
}

/// What follows "$$". To some shells the second "$" starts another expansion.
void ShellScanner::process_id(std::string_view rest) {
    bool only_closes = in(Frame::double_quotes) && rest.starts_with('"');
    if (rest.empty() || (any_of("$({['\"`\\", rest[0]) && !only_closes)) lost_ = true;
    previous_ = '$';
}

/// The "(" or "{" after a "$".
std::size_t ShellScanner::dollar(std::string_view piece, std::size_t at) {
    std::string_view rest = piece.substr(at);
    if (rest.starts_with("((")) {
        std::size_t length = simple_arithmetic(rest);
        lost_ = length == 0;
        previous_ = ')';
        return at + length;
    }
    previous_ = piece[at];
    frames_.push_back(previous_ == '{' ? Frame::brace : Frame::parenthesis);
    return at + 1;
}

/// Whether from here on a shell may read the script in another way than this does.
bool ShellScanner::confuses(std::string_view rest) const {
    char c = rest[0];
    if (in(Frame::brace)) return any_of("(<\n", c);
    bool starts = ends_word(previous_);
    // After "$(…)" it is a part of the word, after "(…)" a comment.
    if (c == '#') return starts && !any_of(" \t\n;(", previous_);
    // "((" is arithmetic to some shells, "=(" an array: a value would be evaluated there.
    if (c == '(') return previous_ == '(' || previous_ == '=';
    // So it would be as an array's index and within [[ ]].
    if (c == '[') return name_char(previous_) || (starts && rest.starts_with("[["));
    // The ")" after a pattern of `case` looks like the end of what it stands in.
    return c == 'c' && starts && !frames_.empty() && rest.starts_with("case");
}

std::size_t ShellScanner::unquoted(std::string_view piece, std::size_t at) {
    char c = piece[at];
    if (confuses(piece.substr(at))) {
        lost_ = true;
        return at + 1;
    }
    bool starts = ends_word(previous_);
    previous_ = c;
    if (c == '\'') {
        frames_.push_back(Frame::single_quotes);
    } else if (c == '#' && starts && !in(Frame::brace)) {
        in_comment_ = true;
    } else if (c == '(') {
        frames_.push_back(Frame::parenthesis);
    } else if ((c == ')' && in(Frame::parenthesis)) || (c == '}' && in(Frame::brace))) {
        frames_.pop_back();
    } else if (c == '\n') {
        end_of_line();
    } else if (piece.substr(at).starts_with("<<<")) {
        return at + 3;
    } else if (piece.substr(at).starts_with("<<")) {
        return here_document(piece, at + 2);
    }
    return at + 1;
}

/// The word after "<<". Returns the offset past it.
std::size_t ShellScanner::here_document(std::string_view piece, std::size_t at) {
    HereDocument announced;
    auto next_is = [&](std::string_view characters) { return at < piece.size() && any_of(characters, piece[at]); };
    if (next_is("-")) {
        announced.strips_tabs = true;
        ++at;
    }
    while (next_is(" \t")) ++at;
    char quote = next_is("'\"") ? piece[at++] : '\0';
    announced.literal = quote != '\0';
    while (at < piece.size() && (name_char(piece[at]) || any_of(".-", piece[at]))) announced.end += piece[at++];
    bool closed = quote == '\0' || next_is({&quote, 1});
    if (quote != '\0' && closed) ++at;
    // A word that is more than that, or that a value goes on with, is none to look for; and where a substitution holds
    // a here-document, shells differ in what they find first: the end of the one or of the other.
    if (announced.end.empty() || !closed || !next_is(kBetweenWords) || !frames_.empty()) lost_ = true;
    pending_.push_back(std::move(announced));
    previous_ = 'E';
    return at;
}

/// A line break that is not the end of a command's line. Whether a here-document starts behind it depends on the shell.
void ShellScanner::quoted_line_end() { lost_ = lost_ || !pending_.empty(); }

void ShellScanner::end_of_line() {
    if (!frames_.empty()) quoted_line_end();
    in_comment_ = false;
    previous_ = '\n';
    in_body_ = !pending_.empty();
    body_line_.clear();
}

/// A character of a comment or of the body of a here-document.
void ShellScanner::body_char(char c) {
    if (in_comment_) {
        if (c == '\n') end_of_line();
    } else if (c == '\n') {
        end_of_body_line();
    } else {
        body_line_ += c;
    }
}

void ShellScanner::end_of_body_line() {
    const HereDocument& document = pending_.front();
    std::string_view line = body_line_;
    if (document.strips_tabs) line.remove_prefix(std::min(line.find_first_not_of('\t'), line.size()));
    if (line == document.end)
        pending_.erase(pending_.begin());
    else if (!document.literal && may_run_on(line))
        lost_ = true;
    end_of_line();
}

}  // namespace vmette::manifest
