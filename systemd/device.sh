#!/usr/bin/env bash
# Installs evse-pi on a Raspberry Pi, or takes it away; called by install.sh. Every step may be repeated.
set -euo pipefail

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
target=/opt/evse-pi
units=(evse-pi-safety.service evse-pi-node.service evse-pi-installer.socket)
templates=(evse-pi-installer@.service)
packages=(python3-venv python3-dev gcc libc6-dev)  # spidev has no wheel and is compiled
# What helps whoever types: completion for each shell, and the manual page. Source: the shells' own documentation.
share=/usr/local/share
bash_completion=$share/bash-completion/completions/evse-pi
zsh_completion=$share/zsh/site-functions/_evse-pi
fish_completion=$share/fish/vendor_completions.d/evse-pi.fish
manual=$share/man/man1/evse-pi.1
config=${EVSE_PI_BOOT_CONFIG:-/boot/firmware/config.txt}
# Why each line: docs/PI.md. The coil's lines of the board, low from the firmware on, are added to them.
boot_lines=(
  "dtparam=spi=on"
  "dtparam=i2c_arm=on"
  "dtoverlay=pwm,pin=18,func=2"
  "dtparam=strict_gpiod"
  "dtparam=audio=off"
  "enable_uart=1"
  "dtoverlay=disable-bt"
  "dtparam=watchdog=on"
)

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

board() {
  local name=''
  [ ! -f /etc/evse-pi/environment ] || name=$(sed -n 's/^EVSE_PI_BOARD=//p' /etc/evse-pi/environment)
  printf '%s' "${name:-reference}"
}

add_boot_lines() {
  local pins pin
  pins=$(cd -- "$root" && python3 - "$(board)" <<'EOF'
import sys
from boards.loader import BoardError, load_board
try:
    coil = load_board(sys.argv[1]).contactor
except BoardError as error:
    sys.exit(f"evse-pi: {error}")
print(coil.pin, *([coil.economiser.boost_pin] if coil.economiser else []))
EOF
  )
  for pin in $pins; do boot_lines+=("gpio=$pin=op,dl"); done
  run python3 "$root/systemd/boot_config.py" write "$config" "${boot_lines[@]}"
}

# write_file FILE COMMAND...: what the command prints, for everybody to read.
write_file() {
  local file=$1
  shift
  printf '+ %s > %s\n' "$*" "$file"
  [ -n "$dry" ] || { install -D -m 0644 /dev/null "$file" && "$@" > "$file"; }
}

# add_user NAME GROUPS: a system user without a login, in those groups of the Pi's devices.
add_user() {
  id "$1" >/dev/null 2>&1 || run useradd --system --no-create-home --gid evse-pi --groups "$2" "$1"
}

install_box() {
  [ -n "$dry" ] || [ -f "$config" ] || { printf 'evse-pi: %s is missing; is this a Raspberry Pi?\n' "$config" >&2; exit 1; }
  run apt-get update -qq
  run apt-get install -y -qq --no-install-recommends "${packages[@]}"
  run groupadd --system --force evse-pi    # people who use the box
  run groupadd --system --force evse-link  # the two processes and nobody else
  add_user evse-safety evse-link,gpio,spi
  add_user evse-node evse-link,i2c,dialout
  run install -d -m 0755 /etc/evse-pi /etc/evse-pi/boards
  [ -f /etc/evse-pi/environment ] || run sh -c 'echo EVSE_PI_BOARD=reference > /etc/evse-pi/environment'
  [ -x "$target/bin/python" ] || run python3 -m venv "$target"
  run "$target/bin/python" -m pip install --quiet --upgrade "${root}[pi]"
  run ln -sf "$target/bin/evse-pi" /usr/local/bin/evse-pi
  write_file "$bash_completion" "$target/bin/evse-pi" completion bash
  write_file "$zsh_completion" "$target/bin/evse-pi" completion zsh
  write_file "$fish_completion" "$target/bin/evse-pi" completion fish
  write_file "$manual" "$target/bin/python" -m evse_pi.cli.reference man
  local unit
  for unit in "${units[@]}" "${templates[@]}"; do run install -m 0644 "$root/systemd/$unit" "/etc/systemd/system/$unit"; done
  run install -D -m 0644 "$root/systemd/evse-pi-watchdog.conf" /etc/systemd/system.conf.d/evse-pi.conf
  run install -D -m 0644 "$root/systemd/evse-pi-journal.conf" /etc/systemd/journald.conf.d/evse-pi.conf
  run install -D -m 0644 "$root/systemd/evse-pi.tmpfiles.conf" /etc/tmpfiles.d/evse-pi.conf
  local document
  for document in ARCHITECTURE SAFETY PI INSTALLING DIAGNOSTICS COMMANDS; do
    run install -D -m 0644 "$root/docs/$document.md" "$target/share/doc/evse-pi/$document.md"
  done
  add_boot_lines
  run systemctl daemon-reload
  run systemd-tmpfiles --create /etc/tmpfiles.d/evse-pi.conf  # after an upgrade no start of the machine need come first
  run systemctl enable "${units[@]}"
  printf 'evse-pi: installed. Reboot, then: sudo evse-pi setup\n'
}

uninstall_box() {
  local unit name
  for unit in "${units[@]}"; do attempt systemctl disable --now "$unit"; done
  for unit in "${units[@]}" "${templates[@]}"; do attempt rm -f "/etc/systemd/system/$unit"; done
  attempt rm -f /etc/systemd/system.conf.d/evse-pi.conf /etc/systemd/journald.conf.d/evse-pi.conf
  attempt rm -f /etc/tmpfiles.d/evse-pi.conf /usr/local/bin/evse-pi
  attempt rm -f "$bash_completion" "$zsh_completion" "$fish_completion" "$manual"
  attempt systemctl daemon-reload
  attempt rm -rf "$target" /run/evse-pi
  [ ! -f "$config" ] || attempt python3 "$root/systemd/boot_config.py" remove "$config"
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
