#pragma once
/// Init's own program, which is also what the guest's tools are: it is started again under another name.

namespace vmette::guest {

/// Opens it. Requires /proc.
void remember_own_program();
/// A descriptor for execveat(2) and for a bind mount; -1 when it could not be opened.
int own_program();

}  // namespace vmette::guest
