#pragma once
/// What vmette and its helper programs agree on. No dependencies: both sides include it.

namespace vmette::helper {

/// Exit codes of a helper that did not get as far as to become what it starts.
constexpr int kFailed = 1;
constexpr int kUnsupported = 3;  ///< this host cannot do it, or this user may not

/// vmette-netns: descriptors in it, and (from kReadyFd on) in slirp4netns.
constexpr int kRulesFd = 0;     ///< nft's input
constexpr int kHandoverFd = 3;  ///< a socket on which tap, network namespace and user namespace are sent, in that order
constexpr int kReadyFd = 4;     ///< slirp4netns writes to it once it has joined the namespace
constexpr int kLeashFd = 5;     ///< slirp4netns ends when the other end of this is closed
constexpr int kNetworkFd = 6;

/// vmette-share: descriptors in it.
constexpr int kFolderFd = 3;       ///< the folder as vmette opened it
constexpr int kShareSocketFd = 4;  ///< virtiofsd's listening socket
/// Where the folder is mounted in virtiofsd's own mount namespace: a folder that every system has and virtiofsd needs
/// nothing of, with a name that no option parser stumbles over.
constexpr char kShareMountPoint[] = "/tmp";

}  // namespace vmette::helper
