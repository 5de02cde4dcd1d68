#!/bin/sh
# Installs a Debian package of ngspice: as root, else by sudo where there is one, else says the one line to type.
set -eu
package=$1
if ! command -v apt-get >/dev/null; then
    echo "please install ngspice's shared library and program (see docs/setup.md), then run make again" >&2
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
