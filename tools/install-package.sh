#!/bin/sh
# Installs a Debian package: as root, or by sudo if it exists; otherwise prints the line to type.
set -eu
package=$1
if ! command -v apt-get >/dev/null; then
    echo "please install what Debian's package $package contains (see docs/setup.md), then run make again" >&2
    exit 1
fi
if [ "$(id -u)" = 0 ]; then
    as_root=
elif command -v sudo >/dev/null; then
    as_root=sudo
else
    echo "please have an administrator type: apt-get install $package" >&2
    exit 1
fi
$as_root apt-get update -qq
DEBIAN_FRONTEND=noninteractive $as_root apt-get install -qq --no-install-recommends "$package" >/dev/null
