#!/usr/bin/env bash
# Installs evse-pi on a Raspberry Pi, or takes it away; called by install.sh. Every step may be repeated.
#
# Root runs this script of the checkout, and boards/boot_config.py when it removes; what is built from the checkout is
# built by the checkout's owner, and what root imports lies in /opt/evse-pi.
set -euo pipefail

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
target=/opt/evse-pi
units=(evse-pi-safety.service evse-pi-node.service evse-pi-installer.socket)
templates=(evse-pi-installer@.service)
packages=(python3-venv python3-dev gcc libc6-dev)  # spidev has no wheel and is compiled
# For people at a shell: completion for each shell, and the manual page. Source: the shells' own documentation.
share=/usr/local/share
bash_completion=$share/bash-completion/completions/evse-pi
zsh_completion=$share/zsh/site-functions/_evse-pi
fish_completion=$share/fish/vendor_completions.d/evse-pi.fish
manual=$share/man/man1/evse-pi.1
machine=${EVSE_PI_MACHINE:-/}  # what stands for / where the firmware's files and the device tree are looked up
firmware=${machine%/}/boot/firmware

action=${1:?install or uninstall}
dry='' purge=''
for option in "${@:2}"; do
  case "$action $option" in
    *" --dry-run") dry=yes ;;
    "uninstall --purge") purge=yes ;;
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
  lines=$(cd -- "$root" && as_owner python3 -m boards.boot_settings show --root "$machine" --board "$(board)") || failed=yes
  for file in config.txt cmdline.txt; do
    [ -f "$firmware/$file" ] || { printf 'evse-pi: %s is missing; is this a Raspberry Pi?\n' "$firmware/$file" >&2; failed=yes; }
  done
  [ -z "$lines" ] || printf 'evse-pi: board %s needs in config.txt:\n%s\n' "$(board)" "$lines"
  [ -z "$failed" ] || [ -n "$dry" ] || { printf 'evse-pi: nothing was changed\n' >&2; exit 1; }
  checked=${failed:+1}
}

# write_file FILE COMMAND...: what the command prints, for everybody to read.
write_file() {
  local file=$1
  shift
  printf '+ %s > %s\n' "$*" "$file"
  [ -n "$dry" ] || { install -D -m 0644 /dev/null "$file" && "$@" > "$file"; }
}

# add_user NAME GROUPS: a system user without a shell or a home, in those groups of the Pi's devices.
add_user() {
  if id "$1" >/dev/null 2>&1; then run usermod --shell /usr/sbin/nologin "$1"; return; fi
  run useradd --system --no-create-home --shell /usr/sbin/nologin --gid evse-pi --groups "$2" "$1"
}

# install_project: the wheel is built by the checkout's owner, and root does no more than unpack it.
install_project() {
  local built=/tmp/evse-pi-wheel
  local -a wheel
  if [ -z "$dry" ]; then built=$(as_owner mktemp -d); fi
  [ -x "$target/bin/python" ] || run python3 -m venv "$target"
  run as_owner python3 -m venv "$built/build"
  run as_owner "$built/build/bin/python" -m pip wheel --quiet --no-deps --wheel-dir "$built" "$root"
  wheel=("$built"/evse_pi-*.whl)
  run "$target/bin/python" -I -m pip install --quiet --upgrade "${wheel[0]}[pi]"
  run "$target/bin/python" -I -m pip install --quiet --no-deps --force-reinstall "${wheel[0]}"
  run as_owner rm -rf "$built"
}

install_box() {
  check_machine
  run apt-get update -qq
  run apt-get install -y -qq --no-install-recommends "${packages[@]}"
  run groupadd --system --force evse-pi    # people who use the box
  run groupadd --system --force evse-link  # the two processes alone
  add_user evse-safety evse-link,gpio,spi
  add_user evse-node evse-link,i2c,dialout
  run install -d -m 0755 /etc/evse-pi /etc/evse-pi/boards
  [ -f /etc/evse-pi/environment ] || run sh -c 'echo EVSE_PI_BOARD=reference > /etc/evse-pi/environment'
  install_project
  run ln -sf "$target/bin/evse-pi" /usr/local/bin/evse-pi
  write_file "$bash_completion" "$target/bin/evse-pi" completion bash
  write_file "$zsh_completion" "$target/bin/evse-pi" completion zsh
  write_file "$fish_completion" "$target/bin/evse-pi" completion fish
  write_file "$manual" "$target/bin/python" -I -m evse_pi.cli.reference man
  local unit
  for unit in "${units[@]}" "${templates[@]}"; do run install -m 0644 "$root/systemd/$unit" "/etc/systemd/system/$unit"; done
  run install -D -m 0644 "$root/systemd/evse-pi-watchdog.conf" /etc/systemd/system.conf.d/evse-pi.conf
  run install -D -m 0644 "$root/systemd/evse-pi-journal.conf" /etc/systemd/journald.conf.d/evse-pi.conf
  run install -D -m 0644 "$root/systemd/evse-pi.tmpfiles.conf" /etc/tmpfiles.d/evse-pi.conf
  local document
  for document in ARCHITECTURE SAFETY PI INSTALLING DIAGNOSTICS COMMANDS; do
    run install -D -m 0644 "$root/docs/$document.md" "$target/share/doc/evse-pi/$document.md"
  done
  run "$target/bin/python" -I -m boards.boot_settings write --root "$machine" --board "$(board)"
  run systemctl daemon-reload
  run systemd-tmpfiles --create /etc/tmpfiles.d/evse-pi.conf  # after an upgrade no start of the machine need come first
  run systemctl enable "${units[@]}"
  [ -n "$dry" ] || printf 'evse-pi: installed. Reboot, then: sudo evse-pi setup\n'
  return "${checked:-0}"
}

uninstall_box() {
  local unit name
  for unit in "${units[@]}"; do attempt systemctl disable --now "$unit"; done
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
