#include "own_program.h"

#include <fcntl.h>

namespace vmette::guest {

namespace {
int own_program_fd = -1;
}

void remember_own_program() { own_program_fd = open("/proc/self/exe", O_PATH | O_CLOEXEC); }

int own_program() { return own_program_fd; }

}  // namespace vmette::guest
