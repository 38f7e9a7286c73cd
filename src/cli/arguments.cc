/// The only user of CLI11, which takes eight seconds to compile.

#include "cli/arguments.h"

#include <algorithm>
#include <charconv>
#include <span>

#include <CLI/CLI.hpp>

#include "base/text.h"

namespace vmette::cli {
namespace {

std::int64_t whole_number(const std::string& name, const std::string& text) {
    std::int64_t value = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || text.empty())
        throw CLI::ValidationError(name, fmt::format("'{}' is not a whole number", harmless_line(text)));
    return value;
}

void check_choice(const Argument& argument, const std::string& text) {
    const auto& choices = argument.choices;
    if (choices.empty() || std::find(choices.begin(), choices.end(), text) != choices.end()) return;
    throw CLI::ValidationError(
        argument.spellings().back(),
        fmt::format("'{}' is none of {}", harmless_line(text), fmt::join(choices.begin(), choices.end(), ", ")));
}

/// Adds one definition to the parser.
struct Binder {
    CLI::App& app;
    const Argument& argument;

    CLI::Option* operator()(bool* target) const { return app.add_flag(argument.names, *target); }
    CLI::Option* operator()(int* target) const { return app.add_flag(argument.names, *target); }
    CLI::Option* operator()(std::optional<std::string>* target) const {
        return app.add_option_function<std::string>(argument.names, [this_argument = &argument, target](auto& text) {
            check_choice(*this_argument, text);
            *target = text;
        });
    }
    CLI::Option* operator()(std::optional<std::int64_t>* target) const {
        return app.add_option_function<std::string>(argument.names, [this_argument = &argument, target](auto& text) {
            *target = whole_number(this_argument->spellings().back(), text);
        });
    }
    CLI::Option* operator()(std::vector<std::string>* target) const {
        auto* option = app.add_option(argument.names, *target);
        // One value a flag: `--set a=1 FILE` must not take the file.
        if (!argument.is_operand()) option->allow_extra_args(false);
        return option;
    }
};

/// What was left over, as an error that helps.
Error unexpected(const std::string& word, const std::vector<Argument>& arguments, bool takes_command) {
    if (!word.starts_with('-')) {
        return Error{ErrorCode::bad_input,
                     fmt::format("unexpected argument '{}'{}", harmless_line(word),
                                 takes_command ? " (a command is written after `--`)" : ""),
                     nullptr};
    }
    std::string flag = word.substr(0, word.find('='));
    std::vector<std::string> known{"--help"};
    for (const auto& argument : arguments) {
        if (argument.is_operand()) continue;
        for (auto& spelling : argument.spellings())
            if (spelling.starts_with("--")) known.push_back(spelling);
    }
    std::vector<std::string_view> candidates(known.begin(), known.end());
    auto nearest = nearest_name(flag, candidates);
    return Error{ErrorCode::bad_input,
                 fmt::format("unknown flag {}{}", harmless_line(flag),
                             nearest ? fmt::format(" (did you mean {}?)", *nearest) : ""),
                 nullptr};
}

/// `--flag=value` as two words: CLI11 takes the next word for the value when it is empty.
std::vector<std::string> split_assignments(std::span<const std::string> words, const std::vector<Argument>& arguments) {
    std::vector<std::string> result;
    for (const auto& word : words) {
        auto equals = word.find('=');
        auto takes_value = [&](const Argument& argument) {
            if (argument.is_operand() || argument.is_switch()) return false;
            auto names = argument.spellings();
            return std::find(names.begin(), names.end(), word.substr(0, equals)) != names.end();
        };
        bool splits = word.starts_with("--") && equals != word.npos &&
                      std::any_of(arguments.begin(), arguments.end(), takes_value);
        result.push_back(splits ? word.substr(0, equals) : word);
        if (splits) result.push_back(word.substr(equals + 1));
    }
    return result;
}

}  // namespace

std::vector<std::string> Argument::spellings() const {
    std::vector<std::string> result;
    std::size_t start = 0;
    while (start <= names.size()) {
        std::size_t comma = std::min(names.find(',', start), names.size());
        std::string name = names.substr(start, comma - start);
        result.push_back(name.starts_with('!') ? name.substr(1) : name);
        start = comma + 1;
    }
    return result;
}

Argument& Arguments::add(Argument argument) {
    arguments_.push_back(std::move(argument));
    return arguments_.back();
}

Argument& Arguments::flag(std::string names, bool& target, std::string help) {
    return add({.names = std::move(names), .value_name = {}, .help = std::move(help), .target = &target});
}

Argument& Arguments::count(std::string names, int& target, std::string help) {
    return add({.names = std::move(names), .value_name = {}, .help = std::move(help), .target = &target});
}

Argument& Arguments::option(std::string names, std::string value_name, std::optional<std::string>& target,
                            std::string help) {
    return add(
        {.names = std::move(names), .value_name = std::move(value_name), .help = std::move(help), .target = &target});
}

Argument& Arguments::option(std::string names, std::string value_name, std::optional<std::int64_t>& target,
                            std::string help) {
    return add(
        {.names = std::move(names), .value_name = std::move(value_name), .help = std::move(help), .target = &target});
}

Argument& Arguments::option(std::string names, std::string value_name, std::vector<std::string>& target,
                            std::string help) {
    return add(
        {.names = std::move(names), .value_name = std::move(value_name), .help = std::move(help), .target = &target});
}

Argument& Arguments::operand(std::string name, std::optional<std::string>& target, std::string help) {
    return add({.names = std::move(name), .value_name = {}, .help = std::move(help), .target = &target});
}

Argument& Arguments::operands(std::string name, std::vector<std::string>& target, std::string help) {
    return add({.names = std::move(name), .value_name = {}, .help = std::move(help), .target = &target});
}

Result<> Arguments::refuse_habits(const std::vector<std::string>& words) const {
    auto is_value = [&](std::size_t at) {
        if (at == 0) return false;
        return std::ranges::any_of(arguments_, [&](const Argument& argument) {
            if (argument.is_operand() || argument.is_switch()) return false;
            auto spellings = argument.spellings();
            return std::ranges::find(spellings, words[at - 1]) != spellings.end();
        });
    };
    for (std::size_t at = 0; at < words.size(); ++at) {
        std::string_view flag = std::string_view(words[at]).substr(0, words[at].find('='));
        auto known = std::ranges::find(habits_, flag, &Habit::flag);
        if (known == habits_.end() || is_value(at)) continue;
        bool mapping = at + 1 < words.size() && words[at + 1].find(":/") != std::string::npos &&
                       words[at + 1].find("://") == std::string::npos;
        if (known->before_mapping && !mapping) continue;
        return fail(ErrorCode::bad_input, "{}{}: {}", known->before_mapping ? "" : "there is no flag ", flag,
                    known->advice);
    }
    return {};
}

Result<Arguments::Parsed> Arguments::parse(const std::vector<std::string>& words) const {
    auto separator = std::find(words.begin(), words.end(), "--");
    if (separator != words.end()) {
        if (command_ == nullptr) return fail(ErrorCode::bad_input, "no command is taken after `--`");
        command_->assign(separator + 1, words.end());
        if (command_->empty()) return fail(ErrorCode::bad_input, "a command is missing after `--`");
    }
    VMETTE_CHECK_OK(refuse_habits({words.begin(), separator}));
    try {
        CLI::App app;
        app.set_help_flag("-h,--help");
        app.allow_extras();
        for (const auto& argument : arguments_) {
            auto* option = std::visit(Binder{app, argument}, argument.target);
            if (argument.required) option->required();
        }
        auto reversed = split_assignments({words.begin(), separator}, arguments_);
        std::reverse(reversed.begin(), reversed.end());  // CLI11 takes them from the back
        app.parse(std::move(reversed));
        auto left = app.remaining();
        if (!left.empty()) {
            auto flag = std::find_if(left.begin(), left.end(), [](const auto& word) { return word.starts_with('-'); });
            return Failure(unexpected(flag != left.end() ? *flag : left.front(), arguments_, takes_command()));
        }
    } catch (const CLI::CallForHelp&) {
        return Parsed::help;
    } catch (const CLI::RequiredError& error) {
        return fail(ErrorCode::bad_input, "{}", error.what());
    } catch (const CLI::ArgumentMismatch& error) {
        std::string_view text = error.what();
        return fail(ErrorCode::bad_input, "{}: a value is missing", harmless_line(text.substr(0, text.find(':'))));
    } catch (const CLI::Error& error) {
        return fail(ErrorCode::bad_input, "{}", harmless_line(error.what()));
    }
    return Parsed::ready;
}

}  // namespace vmette::cli
