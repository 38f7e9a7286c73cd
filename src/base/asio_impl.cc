// Standalone Asio is compiled here, once, instead of in each unit that uses it.

// Before Asio: its configuration asks libstdc++ whether there is aligned_alloc, which only a standard header tells, and
// all units must come to the same answer.
#include <cstddef>

#include <asio/impl/src.hpp>
