#!/usr/bin/env bash
# Installs evse-pi on a Raspberry Pi as a Debian package, or takes it away; called by install.sh. Every step may be
# repeated. Root runs this script of the checkout, and boards/boot_config.py when it removes; the package is built by the
# checkout's owner, and what root imports lies in /opt/evse-pi.
set -euo pipefail

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
target=/opt/evse-pi
units=(evse-pi-safety.service evse-pi-node.service evse-pi-installer.socket)
templates=(evse-pi-installer@.service)
packages=(python3-venv python3-dev gcc libc6-dev dpkg-dev)  # spidev has no wheel and is compiled
# Where versions from before the package put completion for each shell, and the manual page.
share=/usr/local/share
bash_completion=$share/bash-completion/completions/evse-pi
zsh_completion=$share/zsh/site-functions/_evse-pi
fish_completion=$share/fish/vendor_completions.d/evse-pi.fish
manual=$share/man/man1/evse-pi.1
machine=${EVSE_PI_MACHINE:-/}  # what stands for / where the firmware's files and the device tree are looked up
firmware=${machine%/}/boot/firmware

action=${1:?install or uninstall}
dry='' purge='' package=''
for option in "${@:2}"; do
  case "$action $option" in
    *" --dry-run") dry=yes ;;
    "uninstall --purge") purge=purge ;;
    "install "*.deb) package=$option ;;
    *) printf 'evse-pi: unknown option %s\n' "$option" >&2; exit 2 ;;
  esac
done

run() {
  printf '+ %s\n' "$*"
  [ -n "$dry" ] || "$@"
}

# attempt COMMAND...: run it, and go on though it fails, as it does where an installation was broken off.
attempt() { run "$@" || printf 'evse-pi: that failed; going on\n' >&2; }

# as_owner COMMAND...: run it as the owner of this checkout, who may write what it runs.
as_owner() {
  local owner
  owner=$(stat -c %U -- "$root")
  if [ "$(id -u)" = 0 ] && [ "$owner" != root ]; then runuser -u "$owner" -- "$@"; else "$@"; fi
}

board() {
  local name=''
  [ ! -f /etc/evse-pi/environment ] || name=$(sed -n 's/^EVSE_PI_BOARD=//p' /etc/evse-pi/environment)
  printf '%s' "${name:-reference}"
}

# check_machine: say everything that keeps this machine from being a box, before anything is changed.
check_machine() {
  local failed='' lines
  lines=$(cd -- "$root" && as_owner python3 -m boards.boot_lines show --root "$machine" --board "$(board)") || failed=yes
  for file in config.txt cmdline.txt; do
    [ -f "$firmware/$file" ] || { printf 'evse-pi: %s is missing; is this a Raspberry Pi?\n' "$firmware/$file" >&2; failed=yes; }
  done
  [ -z "$lines" ] || printf 'evse-pi: board %s needs in config.txt:\n%s\n' "$(board)" "$lines"
  if [ -x "$target/bin/python" ] || [ -f "/etc/systemd/system/${units[0]}" ]; then
    printf 'evse-pi: a version from before the package is here; first: sudo ./install.sh uninstall (settings stay)\n' >&2
    failed=yes
  fi
  [ -z "$failed" ] || [ -n "$dry" ] || { printf 'evse-pi: nothing was changed\n' >&2; exit 1; }
  checked=${failed:+1}
}

# build_package: the package is built from this checkout by its owner, and root does no more than install it.
build_package() {
  local built=/tmp/evse-pi-package
  run apt-get update -qq
  run apt-get install -y -qq --no-install-recommends "${packages[@]}"
  if [ -z "$dry" ]; then built=$(as_owner mktemp -d); fi
  run as_owner "$root/packaging/build.sh" --out "$built"
  package=$(printf '%s\n' "$built"/evse-pi_*.deb)
}

install_box() {
  check_machine
  [ -n "$package" ] || build_package
  run dpkg --install "$package"
  return "${checked:-0}"
}

# packaged: is the package here, whole or broken off, or what a removal without purge left of it?
packaged() {
  # shellcheck disable=SC2016 # it is dpkg-query's own
  dpkg-query --show --showformat '${db:Status-Status}\n' evse-pi 2>/dev/null | grep -qv '^not-installed$'
}

uninstall_box() {
  local unit name
  # It refuses while a vehicle charges, and then nothing is removed.
  if packaged; then run dpkg --force-remove-reinstreq "--${purge:-remove}" evse-pi; fi
  # What versions from before the package left, also broken off ones.
  for unit in "${units[@]}"; do
    [ ! -e "/etc/systemd/system/$unit" ] || attempt systemctl disable --now "$unit"
  done
  for unit in "${units[@]}" "${templates[@]}"; do attempt rm -f "/etc/systemd/system/$unit"; done
  attempt rm -f /etc/systemd/system.conf.d/evse-pi.conf /etc/systemd/journald.conf.d/evse-pi.conf
  attempt rm -f /etc/tmpfiles.d/evse-pi.conf /usr/local/bin/evse-pi
  attempt rm -f "$bash_completion" "$zsh_completion" "$fish_completion" "$manual"
  attempt systemctl daemon-reload
  # It needs nothing but the standard library, and -I keeps it from finding anything else.
  [ ! -f "$firmware/config.txt" ] || attempt python3 -I "$root/boards/boot_config.py" remove "$firmware"
  attempt rm -rf "$target" /run/evse-pi
  if [ -z "$purge" ]; then
    printf 'evse-pi: removed. /etc/evse-pi (settings, PIN, key) and /var/lib/evse-pi (records, Matter identity)\n'
    printf 'evse-pi: and /var/lib/evse-pi-safety (faults that a person must clear) stay, and\n'
    printf 'evse-pi: with them the users and groups that own them; uninstall --purge removes these too.\n'
  else
    attempt rm -rf /etc/evse-pi /var/lib/evse-pi /var/lib/evse-pi-safety
    for name in evse-safety evse-node; do ! id "$name" >/dev/null 2>&1 || attempt userdel "$name"; done
    for name in evse-link evse-pi; do ! getent group "$name" >/dev/null || attempt groupdel "$name"; done
    printf 'evse-pi: removed, with settings, records, users and groups.\n'
  fi
  printf 'evse-pi: the packages %s stay, which others may need.\n' "${packages[*]}"
}

[ -n "$dry" ] || [ "$(id -u)" = 0 ] || { printf 'evse-pi: run this with sudo\n' >&2; exit 1; }
case "$action" in
  install) install_box ;;
  uninstall) uninstall_box ;;
  *) printf 'evse-pi: unknown action %s\n' "$action" >&2; exit 2 ;;
esac
