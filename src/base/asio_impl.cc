// Standalone Asio is compiled here, once, instead of in each unit that uses it.
#include <asio/impl/src.hpp>
