# Every dependency is a Debian package, found here and nowhere else. `./dev` installs them.
find_package(Threads REQUIRED)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(CURL REQUIRED)
find_package(LibArchive REQUIRED)
# Linked in where there is an archive of them: a shared library costs each start of vmette 0.1 to 0.6 ms.
find_library(SQLite3_LIBRARY NAMES libsqlite3.a sqlite3)
find_package(SQLite3 REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(squashfs REQUIRED IMPORTED_TARGET libsquashfs1)
pkg_check_modules(tomlplusplus REQUIRED IMPORTED_TARGET tomlplusplus)
find_package(SQLiteCpp REQUIRED)
find_package(CLI11 REQUIRED)
find_path(ASIO_INCLUDE_DIR asio.hpp REQUIRED)

# Standalone Asio is headers alone; compiled once, in src/base. Whether it takes memory by aligned_alloc depends on what was
# included before it (detail/config.hpp asks for a macro of libstdc++ without including it), and one file would free what
# another got by operator new: so nowhere.
add_library(asio INTERFACE)
target_include_directories(asio SYSTEM INTERFACE ${ASIO_INCLUDE_DIR})
target_compile_definitions(asio INTERFACE
  ASIO_STANDALONE ASIO_SEPARATE_COMPILATION ASIO_NO_DEPRECATED ASIO_DISABLE_STD_ALIGNED_ALLOC)
target_link_libraries(asio INTERFACE Threads::Threads)

# What Debian has as shared libraries alone, compiled in with the flags of its packages.
add_library(vmette_fmt STATIC ${PROJECT_SOURCE_DIR}/cmake/compiled/fmt.cc)
foreach(property INCLUDE_DIRECTORIES COMPILE_DEFINITIONS)
  get_target_property(value fmt::fmt INTERFACE_${property})
  set_target_properties(vmette_fmt PROPERTIES ${property} "${value}" INTERFACE_${property} "${value}")
endforeach()
add_library(vmette_toml STATIC ${PROJECT_SOURCE_DIR}/cmake/compiled/tomlplusplus.cc)
target_compile_options(vmette_toml PUBLIC ${tomlplusplus_CFLAGS_OTHER})
target_include_directories(vmette_toml SYSTEM PUBLIC ${tomlplusplus_INCLUDE_DIRS})
# Headers alone, for the one file that includes them.
add_library(vmette_spdlog INTERFACE)
get_target_property(value spdlog::spdlog_header_only INTERFACE_COMPILE_DEFINITIONS)
target_compile_definitions(vmette_spdlog INTERFACE ${value})
target_link_libraries(vmette_spdlog INTERFACE vmette_fmt Threads::Threads)
# Of OpenSSL's largest library vmette needs one digest.
find_library(VMETTE_CRYPTO_LIBRARY NAMES libcrypto.a crypto REQUIRED)
add_library(vmette_crypto INTERFACE)
target_include_directories(vmette_crypto SYSTEM INTERFACE ${OPENSSL_INCLUDE_DIR})
target_link_libraries(vmette_crypto INTERFACE ${VMETTE_CRYPTO_LIBRARY})

if(VMETTE_TESTS)
  find_package(GTest REQUIRED)
endif()
if(VMETTE_BENCH)
  find_package(benchmark REQUIRED)
endif()
