#pragma once
/// Kernel modules, for a distribution's kernel; our own has none.

namespace vmette::guest {

/// Loads the modules that /modules.load lists, a path a line, in that order. A line "---" ends the part that the
/// channel needs: `early` loads what stands before it, otherwise what follows. Failures are said on the console.
void load_modules(bool early);

}  // namespace vmette::guest
