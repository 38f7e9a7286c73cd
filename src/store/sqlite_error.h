#pragma once
/// What SQLite's failures mean to the caller and what the user reads.

#include <filesystem>
#include <stdexcept>
#include <string_view>

#include "base/error.h"
#include "base/units.h"

namespace SQLite {
class Exception;
}

namespace vmette::store {

/// Thrown inside Database::read and write by code that finds a value that no vmette writes.
class DamagedRow : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// True when another process's lock is all that stood in the way.
bool is_transient(const SQLite::Exception& problem);

/// `number`: the system's own error number behind it, 0 when not known.
Error sqlite_error(const SQLite::Exception& problem, int number, const std::filesystem::path& path,
                   Duration busy_limit);

/// The file is not sound, or not ours to read; says what to do.
Error damaged_database(const std::filesystem::path& path, std::string_view detail);

}  // namespace vmette::store
