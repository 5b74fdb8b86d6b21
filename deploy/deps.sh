#!/usr/bin/env bash
# Installs those of the named Debian packages that are missing; does nothing where none is.
set -euo pipefail

installed() {
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

command -v dpkg-query >/dev/null || {
  # Another distribution has the same libraries under names of its own.
  echo "deps: this is no Debian; make sure that you have what these packages hold: $*" >&2
  exit 0
}

missing=()
for package in "$@"; do
  installed "$package" || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

if [ "$(id -u)" = 0 ]; then
  as_root=(env)
elif command -v sudo >/dev/null; then
  as_root=(sudo env)
else
  echo "deps: missing packages: ${missing[*]}" >&2
  echo "deps: install them as root: apt-get update && apt-get install ${missing[*]}" >&2
  exit 1
fi

# Some packages start a service of theirs, which nobody has asked for here (policy-rc.d(8): 101 is "no").
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  trap '"${as_root[@]}" rm -f "$policy"' EXIT
  printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
  "${as_root[@]}" chmod 0755 "$policy"
fi

echo "deps: installing ${missing[*]}"
"${as_root[@]}" DEBIAN_FRONTEND=noninteractive apt-get update -q
"${as_root[@]}" DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}"
