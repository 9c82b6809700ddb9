#!/bin/sh
# Run once by cloud-init as root at the first boot: installs the package that lies beside this file. The passcode, the
# discriminator and every key are made by the box itself, after the restart that cloud-init does when this went well.
set -eu
here=$(cd -- "$(dirname -- "$0")" && pwd)
tell() {
  echo "evse-pi: $*" | tee -a /var/log/evse-pi-first-boot.log
  { echo "evse-pi: $*" > /dev/tty1; } 2>/dev/null || true
}
trap '[ "$?" = 0 ] || tell "the installation failed; see /var/log/evse-pi-first-boot.log and cloud-init-output.log"' EXIT

(cd -- "$here" && sha256sum --check --quiet SHA256SUMS) || { tell "the package on the card is damaged"; exit 1; }
install -d -m 0755 /etc/evse-pi
[ -f /etc/evse-pi/environment ] || install -m 0644 "$here/environment" /etc/evse-pi/environment
tell "the package is being installed"
dpkg --install "$here"/evse-pi_*.deb
: > /run/evse-pi-first-boot
tell "installed; the Raspberry Pi restarts, then: sudo evse-pi setup"
