#pragma once
/// init's own words: the kernel's console, which the host keeps as the run's `console` log.

#include "support.h"

namespace vmette::guest {

/// The kernel opened /dev/console as descriptors 0, 1 and 2 (the initramfs holds its node). From now on writing there
/// never blocks: a host that does not read costs words, not beats.
void use_console();

void say_line(std::string_view line);

/// One line, with the program's name in front.
template <typename... Parts>
void say(const Parts&... parts) {
    say_line(text("vmette-init: ", parts..., "\n"));
}

}  // namespace vmette::guest
