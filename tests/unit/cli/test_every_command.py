"""What holds for every command there is: help, JSON, widths, exit statuses, refusals, and what it loads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import click
import pytest

from evse_pi.api.exits import MEANING, Exit
from evse_pi.cli.main import COMMANDS
from tests.support.commands import HEAVY, every_command, run_command

if TYPE_CHECKING:
    from pathlib import Path

ALL = every_command()
WITHOUT_JSON = {"run": "it answers nothing: it is the box itself, and its log goes to stderr"}
LOADS = {
    "run": {"evse_pi.node"},
    "provision": set(HEAVY),
    "update": {"cryptography", "sqlite3", "ssl"},
    "backup": {"sqlite3"},
    "restore": set(),
}
"""Heavy modules that a command needs even to refuse; certificates are judged by what reads them in the node."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """One thing that a command refuses at a box that is set up and does not run."""

    command: str
    arguments: str
    status: Exit
    words: str


NOT_RUNNING = "no box is running at"
UNIT = "a number with its unit is required"
REFUSALS = [
    Refusal("setup", "--yes --capacity 40A", Exit.REFUSED, "not allowed with a board of 32.0 A; 6.0 A to 32.0 A"),
    Refusal("setup", "--yes --capacity 16", Exit.USAGE, UNIT),
    Refusal("setup", "--yes --country Germany", Exit.REFUSED, "two capital letters"),
    Refusal("setup", "--yes --pin-stdin", Exit.REFUSED, "no installer PIN has been set"),
    Refusal("capacity", "16A", Exit.USAGE, "No such command '16A'"),
    Refusal("capacity show", "16A", Exit.USAGE, "unexpected extra argument"),
    Refusal("capacity set", "40A", Exit.REFUSED, "not allowed with a board of 32.0 A; 6.0 A to 32.0 A"),
    Refusal("capacity set", "16", Exit.USAGE, UNIT),
    Refusal("calibrate", "", Exit.NOT_RUNNING, NOT_RUNNING),
    Refusal("calibrate measure", "open", Exit.NOT_RUNNING, NOT_RUNNING),
    Refusal("calibrate measure", "5V", Exit.USAGE, "'5V' is not one of"),
    Refusal("calibrate show", "open", Exit.USAGE, "unexpected extra argument"),
    Refusal("calibrate apply", "", Exit.REFUSED, "not measured yet: open, 6V, -12V"),
    Refusal("calibrate drop", "--pin-stdin", Exit.REFUSED, "no installer PIN has been set"),
    Refusal("certificate", "", Exit.NOT_RUNNING, NOT_RUNNING),
    Refusal("certificate", "--out report.pdf", Exit.USAGE, "must end in .md or .html"),
    Refusal("commission", "", Exit.NOT_RUNNING, NOT_RUNNING),
    Refusal("commission", "--open --codes", Exit.USAGE, "--open and --codes exclude each other"),
    Refusal("commission", "--remove first", Exit.USAGE, "not a valid integer"),
    Refusal("provision", "", Exit.USAGE, "Missing option"),
    Refusal(
        "provision",
        "--dac installation.toml --pai installation.toml --declaration installation.toml --key installation.toml "
        "--vendor-id 0x1234 --product-id 0x8000 --vendor-name V --product-name P",
        Exit.REFUSED,
        "installation.toml",
    ),
    Refusal("status", "", Exit.NOT_RUNNING, NOT_RUNNING),
    Refusal("status", "--watch", Exit.NOT_RUNNING, NOT_RUNNING),
    Refusal("why", "", Exit.NOT_RUNNING, NOT_RUNNING),
    Refusal("set", "16A", Exit.NOT_RUNNING, NOT_RUNNING),
    Refusal("set", "16", Exit.USAGE, UNIT),
    Refusal("set", "", Exit.USAGE, "Missing argument"),
    Refusal("permit", "", Exit.NOT_RUNNING, NOT_RUNNING),
    Refusal("start", "", Exit.NOT_RUNNING, NOT_RUNNING),
    Refusal("start", "", Exit.NOT_RUNNING, NOT_RUNNING),
    Refusal("stop", "", Exit.NOT_RUNNING, NOT_RUNNING),
    Refusal("clear", "", Exit.NOT_RUNNING, NOT_RUNNING),
    Refusal("wake", "", Exit.NOT_RUNNING, NOT_RUNNING),
    Refusal("sessions", "", Exit.NOT_RUNNING, NOT_RUNNING),
    Refusal("sessions", "--json --csv", Exit.USAGE, "exclude each other"),
    Refusal("sessions", "--limit 0", Exit.USAGE, "not in the range"),
    Refusal("selftest", "", Exit.NOT_RUNNING, NOT_RUNNING),
    Refusal("faults", "", Exit.NOT_RUNNING, NOT_RUNNING),
    Refusal("faults", "--limit 1001", Exit.USAGE, "not in the range"),
    Refusal("log", "", Exit.NOT_RUNNING, NOT_RUNNING),
    Refusal("log", "--limit 0", Exit.USAGE, "not in the range"),
    Refusal("scope", "", Exit.NOT_RUNNING, NOT_RUNNING),
    Refusal("scope", "--png .", Exit.USAGE, "is a directory"),
    Refusal("timing", "", Exit.NOT_RUNNING, NOT_RUNNING),
    Refusal("counters", "", Exit.NOT_RUNNING, NOT_RUNNING),
    Refusal("replay", "none.json.gz", Exit.REFUSED, "none.json.gz"),
    Refusal("replay", "installation.toml", Exit.REFUSED, "installation.toml"),
    Refusal("repair", "", Exit.NOT_RUNNING, NOT_RUNNING),
    Refusal("report", "--output no/such/folder", Exit.REFUSED, "No such file or directory"),
    Refusal("demo", "--fast", Exit.USAGE, "No such option"),
    Refusal("run", "--board wallbux", Exit.REFUSED, "board 'wallbux' is unknown"),
    Refusal("run", "--port lots", Exit.USAGE, "port"),
    Refusal("car", "", Exit.NOT_RUNNING, "no simulated box is running"),
    Refusal("car", "draw 16000", Exit.USAGE, "allowed is NAME=VALUE"),
    Refusal("completion", "tcsh", Exit.USAGE, "'tcsh' is not one of"),
    Refusal("backup", "", Exit.USAGE, "Missing argument"),
    Refusal("backup", "installation.toml", Exit.REFUSED, "is there already, and is not written over"),
    Refusal("backup", "new.backup --passphrase-file installation.toml --pin-stdin", Exit.REFUSED, "no installer PIN"),
    Refusal("restore", "none.backup", Exit.REFUSED, "No such file or directory"),
    Refusal("restore", "installation.toml --passphrase-file installation.toml", Exit.REFUSED, "no backup of evse-pi"),
    Refusal("update", "ftp://there/evse-pi.deb", Exit.USAGE, "only https:// addresses and files"),
    Refusal("update", "none.deb", Exit.USAGE, "no such file"),
    Refusal("update", "installation.toml", Exit.REFUSED, "no release key is here"),
    Refusal("version", "--all", Exit.USAGE, "No such option"),
]


def plain(text: str) -> bool:
    return "\x1b" not in text and all(len(line) <= 80 for line in text.splitlines())


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("box")
    done = run_command(folder, folder, "setup", "--yes", "--country", "DE", "--capacity", "20A")
    assert done.status == Exit.DONE, done.err
    return folder


@pytest.mark.parametrize("words", ALL)
def test_help_fits_80_columns_and_loads_nothing_heavy(box: Path, words: str) -> None:
    done = run_command(box, box, *words.split(), "--help")
    assert (done.status, done.err) == (Exit.DONE, "")
    assert done.out.startswith(f"Usage: evse-pi {words}")
    assert plain(done.out)
    assert not done.heavy


@pytest.mark.parametrize("words", ALL)
def test_a_command_has_json_or_a_reason_why_not(words: str) -> None:
    flags = [option for each in ALL[words].params if isinstance(each, click.Option) for option in each.opts]
    assert ("--json" in flags) != (words in WITHOUT_JSON)


@pytest.mark.parametrize("words", ALL)
def test_every_option_says_what_it_does(words: str) -> None:
    assert ALL[words].help
    assert not [each.name for each in ALL[words].params if isinstance(each, click.Option) and not each.help]


def test_every_command_is_in_the_table_of_refusals() -> None:
    assert {refusal.command for refusal in REFUSALS} == set(ALL)


def test_every_command_is_told_in_one_line_of_the_overview(box: Path) -> None:
    shown = run_command(box, box, "--help").out.splitlines()
    for name, text in COMMANDS.items():
        assert f"  {name:<11}  {text}" in shown


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda each: f"{each.command} {each.arguments}")
@pytest.mark.parametrize("more", [(), ("--json",)], ids=["", "json"])
def test_a_refusal_is_told_on_stderr_and_by_the_exit_status(box: Path, refusal: Refusal, more: tuple[str, ...]) -> None:
    if more and refusal.command in WITHOUT_JSON:
        return
    before = {path.name: path.read_bytes() for path in box.glob("*.toml")}
    done = run_command(box, box, *refusal.command.split(), *more, *refusal.arguments.split(), told="111222\n")
    assert done.status == refusal.status, done.err
    assert " ".join(refusal.words.split()) in " ".join(done.err.split())
    assert done.out == ""
    assert "Traceback" not in done.err
    assert "\x1b" not in done.err
    assert done.heavy <= LOADS.get(refusal.command, set())
    assert {path.name: path.read_bytes() for path in box.glob("*.toml")} == before


def test_every_status_has_a_meaning() -> None:
    assert set(MEANING) == set(Exit)
    assert click.UsageError.exit_code == Exit.USAGE


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("stauts", "did you mean: status"),
        ("capcity", "did you mean: capacity"),
        ("self-test", "did you mean: selftest"),
        ("xyzzy", "--help"),
    ],
)
def test_a_mistyped_command_is_told_the_near_one(box: Path, typed: str, meant: str) -> None:
    done = run_command(box, box, typed)
    assert done.status == Exit.USAGE
    assert meant in done.err
    assert plain(done.err)


def test_a_mistyped_option_is_told_the_near_one(box: Path) -> None:
    assert "--watch" in run_command(box, box, "status", "--wach").err


def test_without_a_command_it_says_what_to_do_next(box: Path, tmp_path: Path) -> None:
    fresh = run_command(tmp_path, tmp_path)
    assert fresh.status == Exit.DONE
    assert "not set up yet" in fresh.out
    assert "evse-pi setup" in fresh.out
    idle = run_command(box, box)
    assert "not running" in idle.out
    assert "evse-pi run" in idle.out
    assert plain(fresh.out + idle.out)
    assert not idle.heavy


@pytest.mark.parametrize("typed", ["--state-dir LONG status", "status --state-dir LONG", "capacity --run-dir LONG"])
def test_a_folder_that_cannot_hold_a_socket_is_refused_wherever_it_is_named(box: Path, typed: str) -> None:
    done = run_command(box, box, *typed.replace("LONG", "/" + "long/" * 30).split())
    assert done.status == Exit.USAGE
    assert "too long for a socket" in done.err
