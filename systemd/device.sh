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
# Why each line: docs/PI.md. GPIO17 is the contactor of the reference design: low from the firmware on.
boot_lines=(
  "dtparam=spi=on"
  "dtparam=i2c_arm=on"
  "dtoverlay=pwm,pin=18,func=2"
  "dtparam=strict_gpiod"
  "dtparam=audio=off"
  "enable_uart=1"
  "dtoverlay=disable-bt"
  "dtparam=watchdog=on"
  "gpio=17=op,dl"
)

action=${1:?install or uninstall}
dry=${2:-}
[ -z "$dry" ] || [ "$dry" = --dry-run ] || { printf 'evse-pi: unknown option %s\n' "$dry" >&2; exit 2; }

run() {
  printf '+ %s\n' "$*"
  [ -n "$dry" ] || "$@"
}

add_boot_lines() {
  local line missing=()
  for line in "${boot_lines[@]}"; do
    { [ -f "$config" ] && grep -qxF "$line" "$config"; } || missing+=("$line")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  printf '+ add to %s:\n' "$config"
  printf '    %s\n' "${missing[@]}"
  [ -n "$dry" ] || printf '\n# evse-pi\n[all]\n%s\n' "$(printf '%s\n' "${missing[@]}")" >> "$config"
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
  run install -D -m 0644 "$root/systemd/evse-pi.tmpfiles.conf" /etc/tmpfiles.d/evse-pi.conf
  local document
  for document in ARCHITECTURE SAFETY PI INSTALLING DIAGNOSTICS COMMANDS; do
    run install -D -m 0644 "$root/docs/$document.md" "$target/share/doc/evse-pi/$document.md"
  done
  add_boot_lines
  run systemctl daemon-reload
  run systemctl enable "${units[@]}"
  printf 'evse-pi: installed. Reboot, then: sudo evse-pi setup\n'
}

uninstall_box() {
  local unit
  run systemctl disable --now "${units[@]}"
  for unit in "${units[@]}" "${templates[@]}"; do run rm -f "/etc/systemd/system/$unit"; done
  run rm -f /etc/systemd/system.conf.d/evse-pi.conf /etc/tmpfiles.d/evse-pi.conf /usr/local/bin/evse-pi
  run rm -f "$bash_completion" "$zsh_completion" "$fish_completion" "$manual"
  run systemctl daemon-reload
  run rm -rf "$target"
  printf 'evse-pi: removed. /etc/evse-pi, /var/lib/evse-pi and %s stay as they are.\n' "$config"
}

[ -n "$dry" ] || [ "$(id -u)" = 0 ] || { printf 'evse-pi: run this with sudo\n' >&2; exit 1; }
case "$action" in
  install) install_box ;;
  uninstall) uninstall_box ;;
  *) printf 'evse-pi: unknown action %s\n' "$action" >&2; exit 2 ;;
esac
