#include "manifest/shell_scanner.h"

#include <algorithm>

namespace vmette::manifest {
namespace {

constexpr std::string_view kBetweenWords = " \t\n;&|()<>";

bool ends_word(char c) { return kBetweenWords.find(c) != kBetweenWords.npos; }

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
    escaped_ = after_dollar_ = at_word_start_ = false;
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
        if (c == '\'') frames_.pop_back();
        at_word_start_ = false;
        return at + 1;
    }
    if (escaped_) {
        escaped_ = at_word_start_ = false;
        return at + 1;
    }
    if (after_dollar_) {
        after_dollar_ = false;
        // What $'…' holds has escapes that depend on the shell.
        if (c == '\'' && !in(Frame::double_quotes)) lost_ = true;
        if (c == '(' || c == '{') return dollar(piece, at);
    }
    if (c == '\\') {
        escaped_ = true;
    } else if (c == '$') {
        after_dollar_ = true;
    } else if (c == '`') {
        in(Frame::backquotes) ? frames_.pop_back() : frames_.push_back(Frame::backquotes);
    } else if (c == '"') {
        in(Frame::double_quotes) ? frames_.pop_back() : frames_.push_back(Frame::double_quotes);
    } else if (!in(Frame::double_quotes)) {
        return unquoted(piece, at);
    }
    at_word_start_ = false;
    return at + 1;
}

/// The "(" or "{" after a "$".
std::size_t ShellScanner::dollar(std::string_view piece, std::size_t at) {
    // The ")" after a pattern of `case` would look like the end of the substitution that it stands in.
    if (in(Frame::double_quotes) && piece.substr(at).find("case") != piece.npos) lost_ = true;
    bool arithmetic = piece.substr(at).starts_with("((");
    frames_.push_back(piece[at] == '{' ? Frame::brace : arithmetic ? Frame::arithmetic : Frame::parenthesis);
    if (arithmetic) frames_.push_back(Frame::arithmetic);
    at_word_start_ = piece[at] == '(';
    return at + (arithmetic ? 2 : 1);
}

std::size_t ShellScanner::unquoted(std::string_view piece, std::size_t at) {
    char c = piece[at];
    bool starts = at_word_start_;
    at_word_start_ = ends_word(c);
    if (c == '\'') {
        frames_.push_back(Frame::single_quotes);
    } else if (c == '#' && starts && !in(Frame::brace) && !in(Frame::arithmetic)) {
        in_comment_ = true;
    } else if (c == '(') {
        frames_.push_back(in(Frame::arithmetic) ? Frame::arithmetic : Frame::parenthesis);
    } else if (c == ')') {
        if (in(Frame::parenthesis) || in(Frame::arithmetic)) frames_.pop_back();
    } else if (c == '}' && in(Frame::brace)) {
        frames_.pop_back();
    } else if (c == '\n') {
        end_of_line();
    } else if (c == '<' && piece.substr(at).starts_with("<<") && !in(Frame::arithmetic)) {
        if (piece.substr(at).starts_with("<<<")) return at + 3;
        return here_document(piece, at + 2);
    }
    return at + 1;
}

/// The word after "<<". Returns the offset past it.
std::size_t ShellScanner::here_document(std::string_view piece, std::size_t at) {
    HereDocument announced;
    if (at < piece.size() && piece[at] == '-') {
        announced.strips_tabs = true;
        ++at;
    }
    while (at < piece.size() && (piece[at] == ' ' || piece[at] == '\t')) ++at;
    for (; at < piece.size() && !ends_word(piece[at]); ++at)
        if (std::string_view("'\"\\").find(piece[at]) == std::string_view::npos) announced.end += piece[at];
    // A word that a value makes, in part perhaps, is none that can be looked for.
    if (announced.end.empty() || at == piece.size() || below_double_quotes()) lost_ = true;
    pending_.push_back(std::move(announced));
    return at;
}

void ShellScanner::end_of_line() {
    in_comment_ = false;
    at_word_start_ = true;
    in_body_ = !pending_.empty();
    body_line_.clear();
}

/// A character of a comment or of the body of a here-document.
void ShellScanner::body_char(char c) {
    if (in_comment_) {
        if (c == '\n') end_of_line();
        return;
    }
    if (c != '\n') {
        body_line_ += c;
        return;
    }
    std::string_view line = body_line_;
    if (pending_.front().strips_tabs) line.remove_prefix(std::min(line.find_first_not_of('\t'), line.size()));
    if (line == pending_.front().end) pending_.erase(pending_.begin());
    end_of_line();
}

}  // namespace vmette::manifest
