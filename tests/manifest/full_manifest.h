#pragma once
/// A manifest with every key that there is.

#include <string_view>

namespace vmette::manifest::testing {

inline constexpr std::string_view kFullManifest = R"TOML(
schema = 1
name   = "hello"
exec   = "python3 -c 'print(2**32)'"
workdir = "/src"
user   = "1000:1000"
tty    = true
stdin  = "./input.txt"
ports  = ["127.0.0.1:8080:80", "[::1]:53:5353/udp", "443:8443"]

[rootfs]
source    = "oci://ghcr.io/acme/agent:v3"
read_only = false
pull      = "always"

[[shares]]
tag  = "src"
host = "./src"
guest = "/src"
mode = "rw"

[[disks]]
path = "data.img"
guest = "/data"
read_only = true

[scratch]
size = "2G"

[net]
mode  = "allowlist"
allow = ["pypi.org", "*.debian.org:443", "10.1.2.3/32:5432", "[2001:db8::/32]:443", "2001:db8::1"]

[env]
LANG = "C.UTF-8"
EMPTY = ""

[secrets]
ANTHROPIC_API_KEY = { env = "HOST_KEY" }
FILE = { file = "~/.keys/anthropic", expose = "file" }

[limits]
vcpus   = 2
memory  = 1024
timeout = "1h"
boot_timeout = 20
idle_timeout = "90s"
output  = "1M"
pids    = 100
grace   = "500ms"

[[artifacts]]
path = "/out/**/*.json"
max  = "3M"

[snapshot]
warm  = true
setup = ["pip install -r /src/requirements.txt"]

[vm]
accel = "tcg"
kernel = "k"
initramfs = "/i"
cmdline = "loglevel=7"
vsock = 4000
switch_root = true
ca_certs = "~/corp-certs"

[labels]
team = "search"

[metadata]
ticket = "ABC-1"
nested = { list = [1, 2.5, true, 2024-01-02], "odd key" = {} }
)TOML";

}  // namespace vmette::manifest::testing
