#pragma once
/// The guest's ends of `vmette cp`: init itself, started again in the command's place.

namespace vmette::guest {

constexpr char kPackTool[] = "vmette-pack";
constexpr char kUnpackTool[] = "vmette-unpack";

/// argv: the tool's name, "uid:gid" of what it makes, and
///     vmette-pack OWNER PATH           the tree as a tar stream on stdout
///     vmette-unpack OWNER PATH NAME    a tar stream from stdin: the tree NAME into the folder PATH, or as PATH; NAME
///     empty:
///                                      any stream, below the folder PATH
/// 0: all of it; 1: some of it could not be copied, which stderr names; 2: nothing; 3: stdin was empty, and nothing is
/// said.
int run_copy_tool(int argc, char** argv);

}  // namespace vmette::guest
