/// The few functions of the C++ runtime that would drag exceptions, the demangler and locales into the program.
/// init cannot recover from a broken invariant or from having no memory: it says so, the kernel panics, the host sees
/// it.

#include <stdlib.h>
#include <unistd.h>

#include <new>
#include <string_view>

namespace {

[[noreturn]] void die(std::string_view why) {
    [[maybe_unused]] ssize_t written = write(2, why.data(), why.size());
    _exit(70);
}

}  // namespace

void* operator new(std::size_t size) {
    void* memory = malloc(size != 0 ? size : 1);
    if (memory == nullptr) die("vmette-init: out of memory\n");
    return memory;
}
void* operator new[](std::size_t size) { return operator new(size); }
void operator delete(void* memory) noexcept { free(memory); }
void operator delete(void* memory, std::size_t) noexcept { free(memory); }
void operator delete[](void* memory) noexcept { free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { free(memory); }

namespace std {
void __throw_length_error(const char*) { die("vmette-init: a length is out of range\n"); }
void __throw_logic_error(const char*) { die("vmette-init: a null string\n"); }
void __throw_out_of_range_fmt(const char*, ...) { die("vmette-init: an index is out of range\n"); }
void __throw_bad_alloc() { die("vmette-init: out of memory\n"); }
void __throw_bad_array_new_length() { die("vmette-init: out of memory\n"); }
}  // namespace std

// NOLINTNEXTLINE(bugprone-reserved-identifier): the name is the ABI's.
extern "C" void __cxa_pure_virtual() { die("vmette-init: a pure virtual call\n"); }
