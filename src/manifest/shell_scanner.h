#pragma once
/// Where in a shell script a value is about to be put, so that it can be quoted to stay one word of data there.

#include <string>
#include <string_view>
#include <vector>

namespace vmette::manifest {

/// Follows the quotes, substitutions, comments and here-documents of a POSIX shell script that is handed over in
/// pieces. It need not understand the script: where it is not sure, or where shells differ, it says so from there on,
/// and no value may stand there.
class ShellScanner {
public:
    enum class Inside {
        words,          ///< between words, or at the edge of one
        single_quotes,  ///< '…'
        double_quotes,  ///< "…"
        unclear,        ///< a comment, a here-document, backquotes, a substitution in double quotes, after \ or $
    };

    /// The next piece of the script.
    void text(std::string_view piece);
    /// A value is put here: where is that?
    Inside value();

private:
    enum class Frame : char { parenthesis, brace, single_quotes, double_quotes, backquotes };

    std::size_t step(std::string_view piece, std::size_t at);
    void in_single_quotes(char c);
    void in_backquotes(char c);
    void after_backslash(std::string_view rest);
    void process_id(std::string_view rest);
    std::size_t dollar(std::string_view piece, std::size_t at);
    std::size_t unquoted(std::string_view piece, std::size_t at);
    bool confuses(std::string_view rest) const;
    std::size_t here_document(std::string_view piece, std::size_t at);
    void body_char(char c);
    void end_of_body_line();
    void end_of_line();
    void quoted_line_end();
    bool in(Frame frame) const { return !frames_.empty() && frames_.back() == frame; }
    bool below_double_quotes() const;
    void toggle(Frame frame) { in(frame) ? frames_.pop_back() : frames_.push_back(frame); }

    struct HereDocument {
        std::string end;
        bool strips_tabs = false;
        bool literal = false;  ///< the word was quoted: nothing in the body is expanded
    };
    std::vector<Frame> frames_;
    std::vector<HereDocument> pending_;  ///< announced on this line
    std::string body_line_;              ///< of the here-document that is being read
    bool in_body_ = false, in_comment_ = false;
    bool lost_ = false;  ///< for the rest of the script
    bool escaped_ = false, after_dollar_ = false;
    char previous_ = '\n';  ///< of the code; any character that ends no word where it was quoted or a value
};

}  // namespace vmette::manifest
