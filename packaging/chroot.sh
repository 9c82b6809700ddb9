#!/usr/bin/env bash
# `chroot.sh SUITE FOLDER` makes a clean Debian that can build; `chroot.sh --run FOLDER COMMAND...` runs a command in it.
set -euo pipefail

packages=python3,python3-venv,python3-dev,gcc,libc6-dev,systemd,ca-certificates,dpkg-dev

if [ "$1" = --run ]; then
  folder=$2
  shift 2
  # shellcheck disable=SC2016 # the inner shell expands it
  exec unshare --mount --pid --fork --kill-child bash -c '
    set -e
    mount -t proc proc "$0/proc"; mount --rbind /dev "$0/dev"; mount -t tmpfs tmpfs "$0/run"
    exec chroot "$0" "$@"' "$folder" "$@"
fi

suite=$1 folder=$2
# Either form may be missing, which sed tells by its status.
mirror=$(sed -sn 's/^URIs: *\([^ ]*\).*/\1/p' /etc/apt/sources.list.d/*.sources 2>/dev/null | head -n 1) || true
[ -n "$mirror" ] ||
  mirror=$(sed -n 's/^deb \(\[[^]]*\] \)\?\([^ ]*\) .*/\2/p' /etc/apt/sources.list 2>/dev/null | head -n 1) || true
[ -n "$mirror" ] || {
  printf 'evse-pi: neither /etc/apt/sources.list.d/*.sources nor /etc/apt/sources.list names a source of packages\n' >&2
  exit 1
}
options=()
for file in /etc/apt/apt.conf.d/*; do
  if grep -q '^ *Acquire::' "$file"; then options+=("--aptopt=$file"); fi
done
mmdebstrap --quiet --variant=minbase --include="$packages" "${options[@]}" "$suite" "$folder" "$mirror"
# Where this machine's pip looks, and whom it trusts.
for file in /etc/resolv.conf /etc/hosts /etc/pip.conf /etc/ssl/certs/ca-certificates.crt; do
  [ ! -f "$file" ] || cp --dereference --remove-destination "$file" "$folder$file"
done
