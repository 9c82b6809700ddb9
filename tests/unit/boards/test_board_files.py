"""Board files: what is refused, and how the refusal reads."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any

import pytest

from boards.loader import SHIPPED, BoardError, board_files, load_board, parse_board, read_board
from boards.spec import NotFitted

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ("nsayer_pi_evse_hat", "reference", "simulated")


def table() -> dict[str, Any]:
    return tomllib.loads((SHIPPED / "reference.toml").read_text(encoding="utf-8"))


def problems(changed: dict[str, Any]) -> tuple[str, ...]:
    with pytest.raises(BoardError) as caught:
        parse_board(changed, "mine", "/etc/mine.toml")
    return caught.value.problems


def change(path: str, value: Any) -> dict[str, Any]:
    """Return the reference board with one value replaced, or taken away when `value` is ..."""
    changed = table()
    *parents, key = path.split(".")
    inner: Any = changed
    for parent in parents:
        inner = inner[parent]
    if value is ...:
        del inner[key]
    else:
        inner[key] = value
    return changed


@pytest.mark.parametrize("name", NAMES)
def test_every_shipped_board_loads(name: str, tmp_path: Path) -> None:
    spec = load_board(name, own=tmp_path)
    assert spec.name == name
    assert spec.rated_current_ma <= spec.contactor.rated_current_ma


def test_the_shipped_boards_are_the_ones_that_are_documented(tmp_path: Path) -> None:
    assert sorted(board_files(own=tmp_path)) == sorted(NAMES)


def test_how_late_a_tick_may_be_follows_the_gate_and_else_is_half_of_100_ms(tmp_path: Path) -> None:
    """42 ms less 5: docs/boards/reference.md. Without a gate the tick alone must leave the contactor its time."""
    assert load_board("reference", own=tmp_path).late_limit_ms == 37
    assert load_board("nsayer_pi_evse_hat", own=tmp_path).late_limit_ms == 50


def test_revision_a_of_the_reference_board_still_loads_and_is_for_the_bench() -> None:
    """Source: docs/boards/reference_revision_a.md."""
    board = read_board(SHIPPED.parent / "docs/boards/reference_revision_a.toml")
    assert "90 ms" in (board.bench_only or "")
    assert board.pilot_supply is None
    assert board.coil_node is None


def test_the_reference_board_needs_no_excuse_and_the_hat_is_for_the_bench(tmp_path: Path) -> None:
    assert load_board("reference", own=tmp_path).bench_only is None
    hat = load_board("nsayer_pi_evse_hat", own=tmp_path)
    assert isinstance(hat.watchdog, NotFitted)
    assert "kHz" in (hat.bench_only or "")


@pytest.mark.parametrize(
    ("path", "value", "line"),
    [
        ("contactor.pin", 28, "contactor.pin = 28 is refused; must be an integer 0..27"),
        ("contactor.pin", "17", "contactor.pin = '17' is refused; must be an integer 0..27"),
        ("contactor.pin", True, "contactor.pin = True is refused; must be an integer 0..27"),
        ("contactor.pin", 17.0, "contactor.pin = 17.0 is refused; must be an integer 0..27"),
        ("contactor.release_ms", ..., "contactor.release_ms is missing; must be an integer 1..100"),
        ("contactor.min_off_ms", 4_999, "contactor.min_off_ms = 4999 is refused; must be an integer 5000..600000"),
        ("contactor.mirror.pull", "sideways", "must be one of 'up', 'down', 'none'"),
        ("pilot_adc.chip", "ads1115", "must be one of 'mcp3208', 'mcp3204', 'mcp3008', 'mcp3004'"),
        ("pilot_adc.gain_uv_per_code", 0, "gain_uv_per_code = 0 is refused"),
        ("pilot_pwm.pin", 5, "pilot_pwm.pin = 5 is refused; the PWM block reaches GPIO 12, 13, 18, 19"),
        ("pilot_pwm.inverted", 0, "pilot_pwm.inverted = 0 is refused; must be true or false"),
        ("watchdog", ..., "watchdog is missing; must be a table"),
        ("watchdog", {"not_fitted": "no"}, "watchdog.not_fitted = 'no' is refused; must be a text of at least 20"),
        ("rcd", ..., "rcd is missing; must be a table"),
        ("fail_safe.boot", " ", "fail_safe.boot = ' ' is refused; must be a text of at least 20 characters"),
        ("board.title", ..., "board.title is missing"),
        ("board.rated_current_ma", 5_999, "rated_current_ma = 5999 is refused; must be an integer 6000..80000"),
        ("board.phases", 2, "board.phases = 2 is refused; must be 1 or 3"),
        ("meter.model", "sdm999", "meter.model = 'sdm999' is refused"),
        ("meter.model", "sdm120", "a board of 3 phases needs sdm630, sdm72d_m, sdm72d_m_v1"),
        ("meter.current_inverted", 1, "must be true or false"),
        ("temperature", [{"chip": "lm75", "bus": 1, "address": 0x99, "place": "box"}], "address = 153 is refused"),
    ],
)
def test_a_wrong_value_is_refused_with_file_key_value_and_what_is_allowed(
    path: str, value: bool | int | str, line: str
) -> None:
    found = problems(change(path, value))
    assert all(problem.startswith("/etc/mine.toml: ") for problem in found)
    assert any(line in problem for problem in found)


@pytest.mark.parametrize("path", ["board.colour", "contactor.mirror.colour", "watchdog.colour", "colour"])
def test_an_unknown_key_is_refused_at_every_depth(path: str) -> None:
    (problem,) = problems(change(path, "red"))
    assert f"{path} = 'red' is no key of this table; allowed: " in problem


def test_all_problems_of_a_file_are_told_at_once() -> None:
    changed = change("contactor.pin", 99)
    changed["board"]["phases"] = "three"
    changed["colour"] = 1
    del changed["rcd"]["trip"]["pin"]
    found = "\n".join(problems(changed))
    for key in ("contactor.pin", "board.phases", "colour", "rcd.trip.pin"):
        assert key in found


@pytest.mark.parametrize("pin", [0, 2, 3, 5, 6, 14, 15])
def test_a_contactor_pin_that_is_high_at_boot_needs_a_reason(pin: int) -> None:
    changed = change("contactor.pin", pin)
    del changed["temperature"]
    del changed["meter"]
    (problem,) = problems(changed)
    assert f"contactor.pin = {pin} is refused: " in problem
    changed["contactor"]["pin_reason"] = "the board inverts it and has a boot interlock"
    assert parse_board(changed, "mine", "mine.toml").contactor.pin == pin


@pytest.mark.hazard("H-08")
@pytest.mark.parametrize("pin", [0, 2, 3, 5, 6, 14, 15])
def test_a_boost_pin_that_is_high_at_boot_has_no_excuse(pin: Any) -> None:
    """Pulls at reset: BCM2835 ARM Peripherals, table 6-31, GPIO 0 to 8 high, 9 to 27 low; the UART idles high."""
    changed = change("contactor.economiser", {"boost_pin": pin, "boost_ms": 100})
    del changed["temperature"]
    del changed["meter"]
    changed["contactor"]["pin_reason"] = "the board inverts it and has a boot interlock"
    (problem,) = problems(changed)
    assert f"contactor.economiser.boost_pin = {pin} is refused: " in problem
    assert "must be one of 9, 10, 11, 12, 13, 16, 17, 18, 19, 20" in problem
    changed["contactor"]["economiser"]["boost_pin"] = 19
    assert parse_board(changed, "mine", "mine.toml").contactor.economiser is not None


@pytest.mark.parametrize(
    ("path", "pin", "owner"),
    [
        ("watchdog.pin", 17, "contactor.pin"),
        ("emergency_stop.pin", 27, "contactor.mirror.pin"),
        ("status_led.pin", 18, "pilot_pwm.pin"),
        ("status_led.pin", 10, "pin of SPI bus 0"),
        ("status_led.pin", 8, "pin of SPI bus 0"),
        ("status_led.pin", 2, "pin of I2C bus 1"),
        ("status_led.pin", 14, "pin of header"),
        ("lock.unlock_pin", 12, "lock.lock_pin"),
    ],
)
def test_a_pin_has_one_use_and_buses_count(path: str, pin: int, owner: str) -> None:
    (problem,) = problems(change(path, pin))
    assert f"= {pin} is refused; GPIO {pin} already is {owner}" in problem


@pytest.mark.parametrize(
    ("path", "value", "line"),
    [
        ("pilot_adc.gain_uv_per_code", 6_000, "see -14925..9645 mV; must see at least -13000..13000 mV"),
        ("pilot_adc.speed_hz", 3_000_000, "mcp3208 allows 2000000"),
        ("proximity.channel", 0, "it already is pilot_adc.channel"),
        ("contactor.release_ms", 51, "at most 50, so that the contacts part within 100 ms"),
        (
            "watchdog.hold_max_ms",
            66,
            "at most 65 with contactor.release_ms 25, so that a process that hangs opens",
        ),
        ("watchdog.hold_min_ms", 66, "hold_min_ms = 66 is refused; at most hold_max_ms 58"),
        ("contactor.economiser", {"boost_pin": 19, "boost_ms": 29}, "boost_ms = 29 is refused; at least pull_in_ms 30"),
    ],
)
def test_values_that_do_not_fit_each_other_are_refused(path: str, value: int, line: str) -> None:
    (problem,) = problems(change(path, value))
    assert line in problem


@pytest.mark.hazard("H-09")
@pytest.mark.parametrize(
    ("path", "value", "line"),
    [
        ("watchdog.rearms_by_itself", True, "rearms_by_itself = true is refused; a process that hangs"),
        ("contactor.channel_proof", "mirror", 'channel_proof = "mirror" does not fit; say "coil_node"'),
        ("coil_node.channel", 3, "coil_node.channel = 3 is refused; it already is pilot_supply.negative.channel"),
        ("coil_node.gain_uv_per_code", 7_000, "see 0..28665 mV; must see at least 0..28800 mV"),
    ],
)
def test_a_gate_that_closes_again_by_itself_and_a_proof_that_cannot_be_made_are_refused(
    path: str, value: object, line: str
) -> None:
    """TPS3430 (TI SBVS366/367) and MAX6369 let their output rise again after a pause, without any new edge."""
    (problem,) = problems(change(path, value))
    assert line in problem


@pytest.mark.hazard("H-09")
def test_a_board_without_a_coil_node_says_that_the_mirror_contact_proves() -> None:
    changed = change("contactor.channel_proof", "mirror")
    del changed["coil_node"]
    assert parse_board(changed, "mine", "mine.toml").coil_node is None
    del changed["contactor"]["channel_proof"]
    (problem,) = problems(changed)
    assert 'contactor.channel_proof = "nothing" does not fit; say "mirror" without a table coil_node' in problem
    changed["contactor"]["channel_proof"] = "mirror"
    del changed["contactor"]["mirror"]
    (problem,) = problems(changed)
    assert "nothing can prove the two switches" in problem


def test_a_board_must_say_whether_its_gate_arms_by_itself() -> None:
    changed = change("watchdog.pin", 25)
    del changed["watchdog"]["rearms_by_itself"]
    (problem,) = problems(changed)
    assert "watchdog.rearms_by_itself is missing" in problem


def test_a_longer_gate_is_for_the_bench_alone_and_says_so() -> None:
    changed = change("watchdog.hold_max_ms", 4_000)
    changed["watchdog"] |= {"hold_min_ms": 3_000, "bench_only": "its gate holds for seconds, on a bench without mains"}
    board = parse_board(changed, "mine", "mine.toml")
    assert "for seconds" in (board.bench_only or "")
    assert (board.open_within_ms, board.late_limit_ms) == (4_000 + 25 + 10, 2_995)


def test_the_shipped_boards_keep_to_the_norm(tmp_path: Path) -> None:
    """facts of the reference board: a one-shot of 42 to 58 ms, released 25 ms later, fed every 10 ms: 93 ms."""
    board = load_board("reference", own=tmp_path)
    assert (board.open_within_ms, board.late_limit_ms) == (100, 37)


def test_a_channel_that_a_four_channel_converter_lacks_is_refused() -> None:
    changed = change("pilot_adc.chip", "mcp3204")
    del changed["coil_node"]
    changed["contactor"]["channel_proof"] = "mirror"
    changed["proximity"]["channel"] = 4
    del changed["load_sense"]
    (problem,) = problems(changed)
    assert "proximity.channel = 4 is refused; mcp3204 has channels 0..3" in problem


COUPLERS = {"pin": 19, "active_high": False, "pull": "up", "hold_ms": 40}


@pytest.mark.hazard("H-03")
def test_a_board_on_which_nothing_could_show_a_welded_contactor_is_refused() -> None:
    changed = change("contactor.mirror", ...)
    del changed["load_sense"]
    (problem,) = problems(changed)
    assert "one of them must show a welded contactor" in problem
    changed["contactor"]["mirror"] = table()["contactor"]["mirror"]
    assert parse_board(changed, "mine", "mine.toml").load_sense is None


@pytest.mark.hazard("H-03")
def test_couplers_alone_see_no_single_pole_and_such_a_board_is_for_the_bench() -> None:
    """One welded pole with all others open drives no current through them. Source: docs/boards/reference.md."""
    changed = change("load_sense", ...)
    changed["voltage_sense"] = COUPLERS
    with_mirror = parse_board(changed, "mine", "mine.toml")
    assert (with_mirror.sees_one_pole, with_mirror.bench_only) == (True, None)
    del changed["contactor"]["mirror"]
    alone = parse_board(changed, "mine", "mine.toml")
    assert not alone.sees_one_pole
    assert "one welded pole" in (alone.bench_only or "")


@pytest.mark.parametrize(
    ("path", "value", "line"),
    [
        ("voltage_sense", COUPLERS, "voltage_sense is refused beside load_sense"),
        ("load_sense.l3", ..., "load_sense has 2 phases; the contactor switches 3, and each must be seen"),
        ("load_sense.l1", ..., "load_sense.l1 is missing"),
        ("load_sense.l2.channel", 5, "load_sense.l2.channel = 5 is refused; it already is load_sense.l1.channel"),
        ("load_sense.l1.gain_uv_per_code", 160_000, "see -365122..290078 mV; must see at least -357000..357000 mV"),
        ("load_sense.l4", {}, "l4 = {} is no key of this table"),
    ],
)
def test_a_wrong_sense_of_the_load_side_is_refused_in_words(path: str, value: object, line: str) -> None:
    assert any(line in problem for problem in problems(change(path, value)))


@pytest.mark.hazard("H-13")
def test_a_socket_without_a_lock_is_refused_and_a_fixed_cable_needs_none() -> None:
    changed = change("lock", ...)
    (problem,) = problems(changed)
    assert "/etc/mine.toml: lock is missing with a proximity contact" in problem
    assert "must be a table, or leave out proximity for a fixed cable" in problem
    del changed["proximity"]
    assert parse_board(changed, "mine", "mine.toml").lock is None


@pytest.mark.hazard("H-04")
@pytest.mark.parametrize("rated_ma", [63_000, 63_001, 80_000])
def test_a_socket_carries_what_a_loose_cable_may(rated_ma: Any) -> None:
    """The coding of a cable ends at 63 A (IEC 61851-1 Annex B); SAE J1772's 80 A are for a fixed cable."""
    changed = change("board.rated_current_ma", rated_ma)
    changed["contactor"]["rated_current_ma"] = 80_000
    if rated_ma > 63_000:
        (problem,) = problems(changed)
        assert f"board.rated_current_ma = {rated_ma} is refused with a proximity contact; at most 63000" in problem
        del changed["proximity"], changed["lock"]
    assert parse_board(changed, "mine", "mine.toml").rated_current_ma == rated_ma


@pytest.mark.hazard("H-05")
@pytest.mark.parametrize(
    ("path", "value", "line"),
    [
        ("rcd.detects", ..., "rcd.detects is missing; must be a table"),
        ("rcd.detects.dc_ma", 30, "rcd.detects.dc_ma = 30 is refused; must be an integer 0..6"),
        ("rcd.detects.ac_ma", 300, "rcd.detects.ac_ma = 300 is refused; must be an integer 0..30"),
        ("rcd.detects.standard", ..., "rcd.detects.standard is missing"),
        ("rcd.detects", {"dc_ma": 0, "ac_ma": 0, "standard": "IEC 62955"}, "one must be above 0, or say not_fitted"),
    ],
)
def test_a_board_says_which_residual_currents_it_sees(path: Any, value: Any, line: Any) -> None:
    assert any(line in problem for problem in problems(change(path, value)))


NORTH_AMERICA = {
    "ccid_ma": 20,
    "ground_monitor": "a comparator opens the coil's supply without an earth",
    "frequency_hz": 60,
    "load_sense_poles": 2,
}


@pytest.mark.parametrize(
    ("key", "value", "line"),
    [
        ("ccid_ma", 30, "north_america.ccid_ma = 30 is refused; must be an integer 20..20"),
        ("frequency_hz", 50, "north_america.frequency_hz = 50 is refused; must be an integer 60..60"),
        ("load_sense_poles", 1, "north_america.load_sense_poles = 1 is refused; must be an integer 2..2"),
        ("ground_monitor", True, "north_america.ground_monitor = True is refused; must be a text"),
        ("ground_monitor", ..., "north_america.ground_monitor is missing"),
    ],
)
def test_a_board_for_north_america_says_all_of_it(key: Any, value: Any, line: Any) -> None:
    """Source: UL 2231 as quoted by OpenEVSE (20 mA, earth watched at all times); the supply is 120/240 V at 60 Hz."""
    changed = change("north_america", dict(NORTH_AMERICA))
    changed["rcd"]["detects"]["ac_ma"] = 20
    assert parse_board(changed, "mine", "mine.toml").north_america is not None
    if value is ...:
        del changed["north_america"][key]
    else:
        changed["north_america"][key] = value
    assert any(line in problem for problem in problems(changed))


def test_a_board_for_north_america_has_a_device_that_trips_at_20_ma() -> None:
    changed = change("north_america", NORTH_AMERICA)
    (problem,) = problems(changed)
    assert "rcd.detects.ac_ma = 30 is refused with north_america.ccid_ma = 20; must be 1..20" in problem
    changed["rcd"] = {"not_fitted": "an external device is used here"}
    (problem,) = problems(changed)
    assert "rcd.not_fitted is refused with north_america" in problem


def test_a_board_that_does_not_see_its_pilots_rails_is_for_the_bench() -> None:
    changed = change("pilot_supply", ...)
    assert "+12 V" in (parse_board(changed, "mine", "mine.toml").bench_only or "")
    changed["pilot_supply"] = {"hardware_window": "comparators against the rail take the coil away below 0.615 of it"}
    assert parse_board(changed, "mine", "mine.toml").bench_only is None
    changed["pilot_supply"] = {"hardware_window": "yes"}
    assert "at least 20 characters" in problems(changed)[0]


@pytest.mark.parametrize(
    ("path", "value", "line"),
    [
        ("pilot_supply.window_mv", [11_400, 12_500], "window_mv = [11400, 12500] is refused; must be 2 integers 11500"),
        ("pilot_supply.window_mv", [11_500, 12_600], "must be 2 integers 11500..12500"),
        ("pilot_supply.window_mv", [12_000, 12_100], "the second must be 200 above the first"),
        ("pilot_supply.window_mv", [11_500], "must be 2 integers"),
        ("pilot_supply.window_mv", "wide", "must be 2 integers"),
        ("pilot_supply.positive", ..., "pilot_supply.positive is missing"),
        ("pilot_supply.positive.channel", 0, "pilot_supply.positive.channel = 0 is refused; it already is pilot_adc"),
        ("pilot_supply.negative.channel", 2, "it already is pilot_supply.positive.channel"),
        ("pilot_supply.negative.gain_uv_per_code", 0, "gain_uv_per_code = 0 is refused"),
        ("pilot_supply.positive.gain_uv_per_code", 3_000, "see 0..12285 mV; must see at least 0..13000 mV"),
        ("pilot_supply.negative.offset_mv", -12_500, "see -12500..7160 mV; must see at least -13000..0 mV"),
        ("pilot_supply.hardware_windows", "x" * 20, "is no key of this table"),
    ],
)
def test_a_wrong_supply_sense_is_refused_in_words(path: str, value: list[int], line: str) -> None:
    assert any(line in problem for problem in problems(change(path, value)))


def test_a_weld_output_has_a_pin_that_is_low_at_the_start_and_a_readback_if_the_board_has_one() -> None:
    changed = change("weld_output", {"pin": 19, "readback": {"pin": 4, "active_high": True, "pull": "up"}})
    output = parse_board(changed, "mine", "mine.toml").weld_output
    assert output is not None
    assert output.readback is not None
    assert (output.pin, output.active_high, output.readback.pin) == (19, True, 4)
    for pin, line in (
        (5, "weld_output.pin = 5 is refused: the SoC pulls GPIO 0..8 up"),
        (17, "weld_output.pin = 17 is refused; GPIO 17 already is contactor.pin"),
    ):
        assert any(line in problem for problem in problems(change("weld_output", {"pin": pin})))


def test_an_integrators_board_stands_beside_the_shipped_ones(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text((SHIPPED / "reference.toml").read_text(encoding="utf-8"), encoding="utf-8")
    spec = load_board("mine", own=tmp_path)
    assert (spec.name, spec.contactor.pin) == ("mine", 17)


def test_an_integrators_board_cannot_take_a_shipped_name(tmp_path: Path) -> None:
    (tmp_path / "reference.toml").write_text("")
    with pytest.raises(BoardError, match=r"reference\.toml: 'reference' is the name of the shipped"):
        load_board("simulated", own=tmp_path)


def test_an_unknown_board_names_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(BoardError, match=r"board 'nope' is unknown; allowed: nsayer_pi_evse_hat, reference, simulated"):
        load_board("nope", own=tmp_path)


@pytest.mark.parametrize("content", [b"not toml [", b"\xff\xfe"])
def test_a_file_that_is_no_toml_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.toml"
    path.write_bytes(content)
    with pytest.raises(BoardError, match=r"broken\.toml: "):
        read_board(path)


@pytest.mark.parametrize("name", NAMES)
def test_the_input_stage_puts_every_pilot_level_inside_the_converter(name: str, tmp_path: Path) -> None:
    adc = load_board(name, own=tmp_path).pilot_adc
    for level_mv in (-13_000, -12_600, 0, 12_600, 13_000):
        code = adc.scale.code(level_mv)
        assert 0 < code < adc.chip.full_scale
        assert abs(adc.scale.millivolts(code) - level_mv) <= abs(adc.scale.gain_uv_per_code) // 2_000 + 1


def test_the_reference_dividers_arithmetic_is_the_documented_one(tmp_path: Path) -> None:
    """200 kΩ from the pilot, 49.9 kΩ to ground, 40.2 kΩ to the 3.000 V reference: docs/boards/reference.md."""
    siemens = [1 / ohms for ohms in (200_000, 49_900, 40_200)]
    gain = siemens[0] / sum(siemens)
    zero_v = 3.0 * siemens[2] / sum(siemens)
    scale = load_board("reference", own=tmp_path).pilot_adc.scale
    assert scale.gain_uv_per_code == round(3.0 / 4096 / gain * 1e6)
    assert scale.offset_mv == round(-zero_v / gain * 1000)


def test_the_rails_dividers_arithmetic_is_the_documented_one(tmp_path: Path) -> None:
    """10.0 kΩ / 2.49 kΩ to ground, 10.0 kΩ / 1.80 kΩ to the 3.000 V reference: docs/boards/reference.md."""
    supply = load_board("reference", own=tmp_path).pilot_supply
    code_uv = 3.0 / 4096 * 1e6
    assert supply is not None
    positive, negative = supply.positive.scale, supply.negative.scale  # type: ignore[union-attr]
    assert (positive.gain_uv_per_code, positive.offset_mv) == (round(code_uv * 12.49 / 2.49), 0)
    assert abs(negative.gain_uv_per_code - code_uv * 11.8 / 1.8) < 1
    assert negative.offset_mv == round(-3_000 * 10.0 / 1.8)
