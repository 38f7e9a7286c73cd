/// toml++'s own sources, which its headers hold (src/toml.cpp of toml++ 3). Without its assertions, as Debian's library
/// is: they abort on inputs such as "[=]", which are errors like others without them.

#ifndef NDEBUG
#define NDEBUG
#endif
#define TOML_IMPLEMENTATION
#include <toml++/toml.h>
