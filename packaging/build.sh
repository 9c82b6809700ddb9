#!/usr/bin/env bash
# `packaging/build.sh [--chroot SUITE] [--out FOLDER] [--version V] [--key FILE]`: the Debian package of this checkout.
#
# With --chroot it is built in a clean Debian of that suite, made for the build and thrown away after it; that needs root
# and mmdebstrap, and takes the packages from where this machine's own configuration takes them.
set -euo pipefail

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
suite='' out=$root/dist key=''
rest=()
while [ $# -gt 0 ]; do
  case "$1" in
    --chroot) suite=${2:?a suite, such as bookworm}; shift 2 ;;
    --key) key=${2:?a file}; shift 2 ;;
    --out) out=${2:?a folder}; shift 2 ;;
    *) rest+=("$1"); shift ;;
  esac
done
mkdir -p "$out"
out=$(cd -- "$out" && pwd)

if [ -z "$suite" ]; then
  exec /usr/bin/python3 "$root/packaging/build.py" --out "$out" ${key:+--key "$key"} "${rest[@]}"
fi
command -v mmdebstrap >/dev/null || { printf 'evse-pi: please install the package mmdebstrap\n' >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf --one-file-system "$work"' EXIT
"$root/packaging/chroot.sh" "$suite" "$work/chroot"
mkdir "$work/chroot/source" "$work/chroot/out"
tar -C "$root" --exclude=__pycache__ -cf - pyproject.toml README.md LICENSE evse_pi hal boards systemd docs packaging |
  tar -C "$work/chroot/source" -xf -
[ -z "$key" ] || install -m 0600 "$key" "$work/chroot/root/key.pem"
"$root/packaging/chroot.sh" --run "$work/chroot" /source/packaging/build.sh --out /out ${key:+--key /root/key.pem} "${rest[@]}"
cp "$work/chroot/out/"* "$out"
