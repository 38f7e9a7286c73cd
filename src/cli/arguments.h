#pragma once
/// What a verb takes, as definitions: parsing, help, completion and the manual page are all made from them.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/error.h"

namespace vmette::cli {

/// What a word of an argument is, for completion.
enum class Completes { nothing, files, verbs, images, runs, batches };

/// One flag or operand. The target is borrowed and filled by parse().
struct Argument {
    using Target =
        std::variant<bool*, int*, std::optional<std::string>*, std::optional<std::int64_t>*, std::vector<std::string>*>;

    std::string names;       ///< "-q,--quiet"; "--on,!--no-on" for a switch with its opposite; an operand: "FILE"
    std::string value_name;  ///< "K=V"; empty for switches and operands
    std::string help;
    Target target;  ///< bool: a switch, int: a counted switch
    bool required = false;
    Completes completes = Completes::nothing;
    std::vector<std::string> choices;  ///< when not empty: the only values allowed; a list's verb checks them

    bool is_operand() const { return !names.starts_with('-'); }
    bool is_switch() const { return std::holds_alternative<bool*>(target) || std::holds_alternative<int*>(target); }
    bool is_list() const { return std::holds_alternative<std::vector<std::string>*>(target); }
    /// "-q" and "--quiet", one by one, without the mark of an opposite.
    std::vector<std::string> spellings() const;
};

/// The definitions of one verb.
class Arguments {
public:
    Argument& flag(std::string names, bool& target, std::string help);
    Argument& count(std::string names, int& target, std::string help);
    Argument& option(std::string names, std::string value_name, std::optional<std::string>& target, std::string help);
    Argument& option(std::string names, std::string value_name, std::optional<std::int64_t>& target, std::string help);
    /// May be given several times, one value each.
    Argument& option(std::string names, std::string value_name, std::vector<std::string>& target, std::string help);
    Argument& operand(std::string name, std::optional<std::string>& target, std::string help);
    Argument& operands(std::string name, std::vector<std::string>& target, std::string help);
    /// A flag of another program that a person may type out of habit: refused, with what to write here. With
    /// `before_mapping` it is also a flag of ours, and refused only before a word like "/a:/b".
    void habit(std::string_view flag, std::string_view advice, bool before_mapping = false) {
        habits_.push_back({flag, advice, before_mapping});
    }
    /// The words after `--`.
    void command(std::vector<std::string>& target) { command_ = &target; }

    const std::vector<Argument>& all() const { return arguments_; }
    bool takes_command() const { return command_ != nullptr; }

    enum class Parsed { ready, help };
    /// Fills the targets. Errors are `bad_input` and name the nearest flag.
    Result<Parsed> parse(const std::vector<std::string>& words) const;

private:
    struct Habit {
        std::string_view flag, advice;  ///< of texts that live as long as the program
        bool before_mapping;
    };
    Argument& add(Argument argument);
    Result<> refuse_habits(const std::vector<std::string>& words) const;

    std::vector<Argument> arguments_;
    std::vector<Habit> habits_;
    std::vector<std::string>* command_ = nullptr;
};

}  // namespace vmette::cli
