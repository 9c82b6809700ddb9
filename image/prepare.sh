#!/usr/bin/env bash
# `image/prepare.sh /path/to/bootfs --board NAME [--package FILE.deb] [--wifi SSID --country CC] | --undo`
#
# Makes a fresh card of Raspberry Pi OS Lite (trixie) a box at its first boot; see docs/INSTALLING.md. It needs python3
# with PyYAML, which Debian has as python3-yaml.
set -euo pipefail

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
for python in "$here/../.venv/bin/python" python3; do
  if command -v "$python" >/dev/null && "$python" -c 'import yaml' 2>/dev/null; then
    exec "$python" "$here/prepare.py" "$@"
  fi
done
printf 'evse-pi: PyYAML is missing; please install the package python3-yaml\n' >&2
exit 1
