#include "manifest/matrix.h"

#include <algorithm>
#include <set>

#include "manifest/expected.h"

namespace vmette::manifest {
namespace {

constexpr std::string_view kExclude = "exclude";

/// A scalar as the text that stands for it; nothing when it is none.
std::optional<std::string> scalar_text(const Value& value) {
    switch (value.kind) {
        case Value::Kind::string:
        case Value::Kind::floating:
        case Value::Kind::date:
            return value.text;
        case Value::Kind::integer:
            return std::to_string(value.number);
        case Value::Kind::boolean:
            return value.number != 0 ? "true" : "false";
        case Value::Kind::table:
        case Value::Kind::array:
            break;
    }
    return std::nullopt;
}

class Reader {
public:
    explicit Reader(TemplateContext context) : c_(context) {}

    Matrix read(const Value& table) {
        for (const Entry& entry : table.entries)
            if (entry.key != kExclude && !entry.value.bad) variable(entry);
        const Value* exclude = table.find(kExclude);
        if (exclude != nullptr && !exclude->bad) excludes(*exclude);
        if (table.entries.size() == (exclude != nullptr ? 1 : 0))
            c_.report.add(table.place, "matrix has no variable, such as model = [\"small\", \"large\"]");
        return std::move(matrix_);
    }

private:
    void variable(const Entry& entry) {
        std::string path = fmt::format("matrix.{}", entry.key);
        if (!is_variable_name(entry.key))
            return c_.report.add(
                entry.key_place,
                "matrix: \"{}\" is not a variable's name: letters, digits, '_', '-' and '.', the first a "
                "letter or '_'",
                entry.key);
        if (!entry.value.is(Value::Kind::array))
            return c_.report.add(entry.value.place, "{} must be an array of values, not {}", path,
                                 type_name(entry.value));
        if (entry.value.items.empty()) return c_.report.add(entry.value.place, "{} is empty: it makes no job", path);
        Matrix::Variable made{.id = c_.templates.intern(entry.key), .place = entry.key_place};
        std::set<std::string> taken;
        for (std::size_t i = 0; i < entry.value.items.size(); ++i) {
            const Value& item = entry.value.items[i];
            auto text = scalar_text(item);
            if (!text)
                c_.report.add(item.place, "{}[{}] must be a string, a number or a boolean, not {}", path, i,
                              type_name(item));
            else if (!taken.insert(*text).second)
                c_.report.add(item.place, "{}[{}]: \"{}\" is in the list already", path, i, *text);
            if (text) made.values.push_back(*std::move(text));
        }
        names_.emplace_back(entry.key);
        if (!made.values.empty()) matrix_.variables.push_back(std::move(made));
    }

    void excludes(const Value& list) {
        if (!list.is(Value::Kind::array))
            return c_.report.add(list.place, "matrix.exclude must be an array of tables, not {}", type_name(list));
        for (std::size_t i = 0; i < list.items.size(); ++i) {
            const Value& item = list.items[i];
            if (!item.is(Value::Kind::table) || item.entries.empty()) {
                c_.report.add(item.place, "matrix.exclude[{}] must be a table of variables and values", i);
                continue;
            }
            Matrix::Exclude made;
            for (const Entry& entry : item.entries) condition(entry, fmt::format("matrix.exclude[{}]", i), made);
            if (made.size() == item.entries.size()) matrix_.excludes.push_back(std::move(made));
        }
    }

    void condition(const Entry& entry, const std::string& path, Matrix::Exclude& made) {
        auto id = c_.templates.find(entry.key);
        auto variable = std::ranges::find_if(matrix_.variables, [&](const auto& known) { return known.id == id; });
        if (!id || variable == matrix_.variables.end()) {
            if (std::ranges::find(names_, entry.key) == names_.end())
                c_.report.add(entry.key_place, "{}: the matrix has no variable \"{}\"{}", path, entry.key,
                              hint(entry.key, names_));
            return;
        }
        auto text = scalar_text(entry.value);
        auto value = text ? std::ranges::find(variable->values, *text) : variable->values.end();
        if (value == variable->values.end())
            return c_.report.add(entry.value.place, "{}.{}: no value of the variable, so that nothing is left out{}",
                                 path, entry.key, text ? hint(*text, variable->values) : "");
        made.emplace_back(variable - matrix_.variables.begin(), value - variable->values.begin());
    }

    std::string hint(std::string_view word, const std::vector<std::string>& names) const {
        return c_.report.full() ? "" : nearest_hint(word, names);
    }

    TemplateContext c_;
    Matrix matrix_;
    std::vector<std::string> names_;
};

}  // namespace

std::uint64_t Matrix::combinations() const {
    std::uint64_t product = 1;
    for (const Variable& variable : variables)
        if (__builtin_mul_overflow(product, variable.values.size(), &product)) return UINT64_MAX;
    return product;
}

bool Matrix::excluded(const std::vector<std::size_t>& chosen) const {
    return std::ranges::any_of(excludes, [&](const Exclude& exclude) {
        return std::ranges::all_of(exclude, [&](const auto& pair) { return chosen[pair.first] == pair.second; });
    });
}

bool Matrix::advance(std::vector<std::size_t>& chosen) const {
    for (std::size_t i = variables.size(); i-- > 0;) {
        if (++chosen[i] < variables[i].values.size()) return true;
        chosen[i] = 0;
    }
    return false;
}

Matrix read_matrix(Value& table, TemplateContext context) {
    // A map of texts, for the expansion: its lists, and the tables in them, are walked alike.
    static constexpr Key kTexts{.kind = Kind::text_map};
    expand_strings(table, kTexts, context.environment, context.report);
    return Reader(context).read(table);
}

}  // namespace vmette::manifest
