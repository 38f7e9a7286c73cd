#pragma once
/// The test program as another process: what it does when it is started with --worker.

#include <filesystem>
#include <string>
#include <vector>

#include "base/process.h"

namespace vmette::store {

/// Runs the mode that follows --worker; its exit code. Modes:
///   busy PATH NUMBER     everything a run writes, 10 times over
///   endless PATH         inserts runs until it is killed, each id on a line of stdout once it is recorded
///   cramped PATH BYTES   inserts runs while no file may grow beyond so many bytes, and prints the first error
///   nobody PATH          opens the history as an unprivileged user, and prints the error
///   take PATH BATCH      takes a batch that is nobody's, prints "taken" or the error, and lives on until it is killed
///   change PATH BATCH SEED  takes over a batch and changes jobs until it is killed; prints each group of changes
///   before
///                        it is applied and "done" after it
///   create PATH NUMBER   writes batches until it is killed, each id on a line of stdout once it is written
int run_worker(const std::vector<std::string>& arguments);

/// How to start it, with nothing but these arguments, its output to `output`.
ProcessSpec worker(std::vector<std::string> arguments, int output);

}  // namespace vmette::store
