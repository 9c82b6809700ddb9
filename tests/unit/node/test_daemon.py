"""The running node in virtual time: leases, renewals, commands; its storage is a real file, written at once."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from concurrent.futures import Executor, Future
from contextlib import closing, suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Self

import pytest

from boards.build_field import FieldHardware, MeterSlot
from boards.loader import load_board
from evse_pi.api.client import Connection
from evse_pi.api.codec import to_plain
from evse_pi.api.protocol import Nothing, request_line
from evse_pi.api.refusal import Allowed, AtFault, Refusal
from evse_pi.api.server import answered
from evse_pi.api.service import Caller, Service
from evse_pi.api.status import WATCH
from evse_pi.charging.charge_point import ChargePoint
from evse_pi.charging.charging_plan_memory import PersistedPlan
from evse_pi.charging.clock import SystemClock
from evse_pi.charging.demand_arbiter import OWNER_DEFAULT, LimitRequest
from evse_pi.charging.modes import ChargeMode
from evse_pi.charging.random_delay import DelayCause, RandomDelay
from evse_pi.charging.settings import NOTHING_SET, ChargingSettings, settings_row
from evse_pi.charging.startup_state import StartupState, owner_row
from evse_pi.charging.targets import DaySchedule, Target
from evse_pi.core.faults import Fault
from evse_pi.core.records import Demand, Request, Snapshot, decode_demand
from evse_pi.core.states import LimitSource
from evse_pi.device.equipment import Equipment
from evse_pi.installation.files import SIMULATED_INSTALLATION, write_installation
from evse_pi.matter.storage import SqliteStore
from evse_pi.node.commands import Commands
from evse_pi.node.daemon import Daemon, NodePaths, serve
from evse_pi.node.field_devices import FieldDevices
from evse_pi.node.matter_options import MatterOptions
from evse_pi.node_run import unstamped
from evse_pi.sim.harness.virtual_clock import UNIX_S
from evse_pi.storage.database import Store
from evse_pi.storage.recall import load_startup_state
from evse_pi.storage.writer_thread import WriterThread
from hal.clock_trust import SystemTime
from hal.units import SECOND, Milliamps, MilliwattHours
from tests.support.node_box import RATINGS, FakeSafety, meter_reading
from tests.support.virtual_loop import running_clock, virtual_time

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from evse_pi.charging.clock import Clock
    from hal.interfaces import MeterReading

NO_HARDWARE = FieldHardware(None, ())


class FakeLink:
    """The safety process's end, in memory: what was sent and when, and what will be received."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.sent: list[tuple[float, Demand]] = []
        self.raw: list[bytes] = []
        self.runs: list[tuple[int, int]] = []
        self._inbox: deque[Snapshot] = deque()
        self._ours, self._theirs = socket.socketpair()
        self._ours.setblocking(False)

    def fileno(self) -> int:
        return self._ours.fileno()

    def send(self, datagram: bytes) -> bool:
        at_s = (self.clock.monotonic_ns() - 1_000 * SECOND) / SECOND
        self.raw.append(datagram)
        run, number, record = unstamped(datagram)
        self.runs.append((run, number))
        self.sent.append((at_s, decode_demand(record[: int.from_bytes(record[4:6], "little")])))
        return True

    def receive(self) -> Snapshot | None:
        self._ours.recv(4096)
        snapshot = self._inbox[-1] if self._inbox else None
        self._inbox.clear()
        return snapshot

    def deliver(self, snapshot: Snapshot) -> None:
        self._inbox.append(snapshot)
        self._theirs.send(b"x")

    def close(self) -> None:
        self._ours.close()
        self._theirs.close()

    @property
    def last(self) -> Demand:
        return self.sent[-1][1]


class AtOnce(Executor):
    """Calls in the caller's thread, for a clock that waits for no thread."""

    def submit(self, function: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(function(*args, **kwargs))
        except Exception as error:  # noqa: BLE001
            future.set_exception(error)
        return future


@pytest.fixture
def service_manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as endpoint:
        endpoint.bind(str(tmp_path / "notify"))
        endpoint.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield endpoint


@virtual_time
async def test_the_service_manager_is_told_each_demand_and_nothing_before_the_first(
    service_manager: socket.socket, tmp_path: Path
) -> None:
    async with Running(tmp_path) as running:
        async with asyncio.timeout(20):
            while not running.link.sent:  # noqa: ASYNC110 (there is no event to wait for)
                await asyncio.sleep(0.001)
        heard = 0
        with suppress(BlockingIOError):
            while service_manager.recv(100) == b"READY=1\nWATCHDOG=1":
                heard += 1
        assert heard == len(running.link.sent)


class Running:
    """A daemon that runs until the block ends."""

    def __init__(
        self, tmp_path: Path, hardware: FieldHardware = NO_HARDWARE, memory: StartupState | None = None
    ) -> None:
        self.clock = running_clock()
        self.link = FakeLink(self.clock)
        self.safety = FakeSafety(self.clock)
        write_installation(tmp_path / "installation.toml", SIMULATED_INSTALLATION)
        self.storage = WriterThread(AtOnce())
        rated = replace(RATINGS, meter_fitted=hardware.meter is not None)
        self.box = ChargePoint(self.clock, rated, None, memory or StartupState(), self.storage)
        self.paths = NodePaths(tmp_path, tmp_path, tmp_path / "installation.toml")
        self.node = Daemon(load_board("simulated"), self.box, self.link, self.storage, self.paths)
        self.field = FieldDevices(hardware, self.clock.monotonic_ns, wake=self.node.wake)
        self.stopping = asyncio.Event()

    async def __aenter__(self) -> Self:
        self.store = await self.storage.open(self.paths.state_dir / "evse.db")
        self.task = asyncio.create_task(self.node.run(self.field, self.stopping))
        await asyncio.sleep(0.001)
        self.commands = Commands(self.box, self.storage, self.store, self.node)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.stopping.set()
        await self.task
        await self.storage.close()
        self.link.close()

    def speak(self) -> None:
        """The safety process sends a snapshot that says which order number it heard last."""
        self.safety.request_number = self.link.last.request_number if self.link.sent else 0
        self.link.deliver(replace(self.safety.snapshot(), at_ns=self.clock.monotonic_ns()))

    async def ask(self, command: str, *, installer: bool = True, **fields: Any) -> Any:
        call = Service(*self.commands.offers).understand(request_line(command, fields), Caller(1000, installer))
        return to_plain(await answered(call))


def warnings(status: Any) -> list[str]:
    return [notice["text"] for notice in status["notices"]]


class OneReading:
    """A meter that always shows the same."""

    def read(self) -> MeterReading:
        return meter_reading(42, 5)

    def close(self) -> None: ...


@virtual_time
async def test_a_demand_goes_out_every_two_seconds(tmp_path: Path) -> None:
    async with Running(tmp_path) as running:
        await asyncio.sleep(9.5)
        assert [round(at_s) for at_s, _ in running.link.sent] == [0, 2, 4, 6, 8]
        assert all(
            demand.valid_until_ns - 1_000 * SECOND == (round(at_s) + 15) * SECOND
            for at_s, demand in running.link.sent
            if round(at_s, 6) == round(at_s)
        )


@virtual_time
async def test_an_ask_that_runs_out_is_told_in_that_very_moment(tmp_path: Path) -> None:
    async with Running(tmp_path) as running:
        until_ns = running.clock.monotonic_ns() + 4_700_000_000
        running.box.arbiter.put(
            LimitRequest(LimitSource.POWER_ADJUSTMENT, limit_ma=Milliamps(8_000), until_ns=until_ns)
        )
        running.node.renew()
        await asyncio.sleep(4.6)
        assert running.link.last.offered_current_ma == 8_000
        await asyncio.sleep(0.15)
        assert running.link.last.offered_current_ma == 80_000
        assert running.link.last.limit_source is LimitSource.OWNER


@virtual_time
async def test_a_restarted_safety_process_gets_a_demand_at_once(tmp_path: Path) -> None:
    async with Running(tmp_path) as running:
        running.speak()
        await asyncio.sleep(0.5)
        before = len(running.link.sent)
        running.safety = FakeSafety(running.clock, safety_run_id=99)
        running.speak()
        await asyncio.sleep(0.01)
        assert len(running.link.sent) == before + 1


@virtual_time
async def test_the_first_demand_waits_for_the_meter_for_a_bounded_time(tmp_path: Path) -> None:
    meter = OneReading()
    slot = MeterSlot("bus", lambda: meter)
    async with Running(tmp_path, FieldHardware(slot, ())) as running:
        await asyncio.sleep(7.9)
        assert running.link.sent == []
        await asyncio.sleep(0.2)
        assert running.link.last.meter is None
        assert running.field._meter is not None
        running.field._meter.poll(running.clock.monotonic_ns)
        await asyncio.sleep(2)
        assert running.link.last.meter.at_ns == 42  # type: ignore[attr-defined]
    async with Running(tmp_path, FieldHardware(slot, ())) as running:
        assert running.field._meter is not None
        running.field._meter.poll(running.clock.monotonic_ns)
        running.node.wake()
        await asyncio.sleep(0.01)
        assert running.link.last.meter is not None
        assert running.link.last.meter.at_ns == 42


@virtual_time
async def test_a_reading_that_no_supply_can_have_is_not_sent_and_stops_nothing_else(tmp_path: Path) -> None:
    async with Running(tmp_path) as running:
        running.box.reading = meter_reading(running.clock.monotonic_ns(), 0, current_ma=99_000_000)
        running.node.renew()
        await asyncio.sleep(0.01)
        assert running.link.last.meter is None
        assert running.link.last.permitted


@virtual_time
async def test_the_owner_stops_the_box_at_once(tmp_path: Path) -> None:
    async with Running(tmp_path) as running:
        answer = await running.ask("stop")
        await asyncio.sleep(0.01)
        assert answer == {"permitted": False, "limit_ma": None, "stored": True, "not_stored_because": None}
        assert not running.link.last.permitted
        await running.ask("set", limit_ma=10_000)
        await running.ask("permit")
        await asyncio.sleep(0.01)
        assert (running.link.last.permitted, running.link.last.offered_current_ma) == (True, 10_000)

        assert Store(running.paths.state_dir / "evse.db").setting("owner") == {"permitted": True, "limit_ma": 10_000}


class ElsewhereMade:
    """A Matter device whose identity was made on another machine."""

    commissioned, ready, trouble, identity_made_elsewhere = False, True, None, False

    def describe(self) -> None:
        return None


@pytest.mark.hazard("H-18")
@virtual_time
async def test_a_word_is_stored_however_much_has_happened_before(tmp_path: Path) -> None:
    """A vehicle whose pilot flaps uses up what the card is spared for; the owner's stop does not wait for that."""
    async with Running(tmp_path) as running:
        for state in "BCBA" * 20:
            running.safety.become(state, frozenset((Fault.METER_STALE,)) if state == "C" else frozenset())
            running.speak()
            await asyncio.sleep(0.1)
        for limit_ma in range(6_000, 32_000, 500):
            assert (await running.ask("set", limit_ma=limit_ma))["stored"] is True
        assert (await running.ask("stop"))["stored"] is True
        on_the_card = Store(running.paths.state_dir / "evse.db").setting("owner")
        assert on_the_card == {"permitted": False, "limit_ma": 31_500}


@virtual_time
async def test_a_start_skips_what_only_time_holds_up_and_names_what_it_does_not(tmp_path: Path) -> None:
    delay = RandomDelay(DelayCause.POWER_RETURN, 1_500 * SECOND)
    memory = StartupState(settings=ChargingSettings(mode=ChargeMode.SOLAR), plan=PersistedPlan("first", delay=delay))
    async with Running(tmp_path, memory=memory) as running:
        running.safety.become("B")
        running.speak()
        await asyncio.sleep(0.1)
        assert not running.link.last.permitted
        answer = await running.ask("start")
        assert answer == {"skipped": ["RANDOM_DELAY"], "held_up_by": ["POWER_ADJUSTMENT"]}
        running.box.expect_energy_manager(expected=False)
        assert await running.ask("start") == {"skipped": [], "held_up_by": []}
        await asyncio.sleep(0.1)
        assert running.link.last.permitted
        await running.ask("stop")
        with pytest.raises(Refusal, match="permit it first"):
            await running.ask("start")


@virtual_time
async def test_an_identity_of_another_machine_is_told_until_a_person_decides_whose_it_is(tmp_path: Path) -> None:
    async with Running(tmp_path) as running:
        running.node.matter = device = ElsewhereMade()  # type: ignore[assignment]
        assert not any("identity" in text for text in warnings(await running.ask("status")))
        device.identity_made_elsewhere = True
        (told,) = [text for text in warnings(await running.ask("status")) if "identity" in text]
        assert "evse-pi commission --new-identity" in told
        assert "evse-pi commission --keep-identity" in told


@virtual_time
async def test_a_current_that_cannot_be_is_refused_by_name_and_changes_nothing(tmp_path: Path) -> None:
    async with Running(tmp_path) as running:
        for bad in (5_999, 32_001, -1):
            with pytest.raises(Refusal, match=r"limit_ma: .* a whole number from 6000 to 32000 mA") as refused:
                await running.ask("set", limit_ma=bad)
            assert refused.value.at == AtFault("limit_ma", bad, Allowed(6_000, 32_000, "mA"))
        for wrong in ("16A", 16.0, True):
            with pytest.raises(
                Refusal, match=rf"limit_ma: {wrong!r} is not allowed; a whole number, or one of KEEP, or null"
            ):
                await running.ask("set", limit_ma=wrong)
        with pytest.raises(Refusal, match="permitted: 1 is not allowed; true or false"):
            await running.ask("set", permitted=1)
        with pytest.raises(Refusal, match="current_ma: unknown field; allowed are permitted, limit_ma"):
            await running.ask("set", current_ma=16_000)
        assert running.box.owner.limit_ma is None


async def answering(running: Running) -> None:
    while True:
        running.speak()
        await asyncio.sleep(0.2)


@virtual_time
async def test_an_order_is_answered_when_the_safety_process_has_heard_it(tmp_path: Path) -> None:
    async with Running(tmp_path) as running:
        talking = asyncio.create_task(answering(running))
        assert await running.ask("selftest") == {"ordered": True}
        assert running.link.last.request == Request.SELF_TEST
        await running.ask("clear", role="INSTALLER")
        assert running.link.last.request == Request.CLEAR_USER | Request.CLEAR_INSTALLER
        await running.ask("wake")
        assert running.link.last.request == Request.RESTART_WAKE_UP
        talking.cancel()


@virtual_time
async def test_the_proof_of_an_installers_clear_goes_with_that_order_alone(tmp_path: Path) -> None:
    async with Running(tmp_path) as running:
        talking = asyncio.create_task(answering(running))
        await running.ask("clear", role="INSTALLER", clearance={"at_ns": 5, "digest": 6})
        proof = struct.pack("<qQ", 5, 6)
        assert running.link.raw[-1].endswith(proof)
        await running.ask("wake")
        assert not running.link.raw[-1].endswith(proof)
        wrong: Any
        for wrong in ({"at_ns": 5}, {"at_ns": 5, "digest": "6"}, {"at_ns": -1, "digest": 6}, [], "proof"):
            with pytest.raises(Refusal, match="clearance"):
                await running.ask("clear", role="INSTALLER", clearance=wrong)
        talking.cancel()


@virtual_time
async def test_a_clear_that_came_to_nothing_is_repeated_until_the_fault_is_gone(tmp_path: Path) -> None:
    async with Running(tmp_path) as running:
        running.safety.become("A", frozenset((Fault.RCD_TRIPPED,)))

        async def busy_at_the_first() -> None:
            heard: set[int] = set()
            while True:
                running.speak()
                if running.link.sent and running.link.last.request is Request.CLEAR_USER:
                    heard.add(running.link.last.request_number)
                if len(heard) == 2 and running.safety.faults:
                    running.safety.become("A")
                await asyncio.sleep(0.05)

        talking = asyncio.create_task(busy_at_the_first())
        await asyncio.sleep(0.2)
        assert [record.fault for record in running.box.event_recorder.faults] == [Fault.RCD_TRIPPED]
        assert await running.ask("clear") == {"faults": []}
        talking.cancel()


@pytest.mark.hazard("H-14")
@virtual_time
async def test_a_clear_with_a_proof_is_ordered_once_and_answered_with_what_is_left(tmp_path: Path) -> None:
    """The proof is good for one order: another of the node's own could clear nothing, and would spend it."""
    async with Running(tmp_path) as running:
        running.safety.become("A", frozenset((Fault.CONTACTOR_WELDED,)))
        heard: set[int] = set()

        async def unmoved() -> None:
            while True:
                running.speak()
                if running.link.sent and Request.CLEAR_INSTALLER in running.link.last.request:
                    heard.add(running.link.last.request_number)
                await asyncio.sleep(0.05)

        talking = asyncio.create_task(unmoved())
        await asyncio.sleep(0.2)
        told = await running.ask("clear", role="INSTALLER", clearance={"at_ns": 5, "digest": 6})
        assert told == {"faults": ["CONTACTOR_WELDED"]}
        assert len(heard) == 1
        talking.cancel()


@pytest.mark.hazard("H-10")
@virtual_time
async def test_every_demand_carries_the_run_that_the_safety_process_invited_and_the_next_number(tmp_path: Path) -> None:
    async with Running(tmp_path) as running:
        for begun, in_force, invitation in ((True, 0, 5), (False, 0, 5), (False, 5, 6), (True, 0, 7), (True, 9, 8)):
            before = len(running.link.runs)
            running.link.deliver(running.safety.snapshot(node_run=in_force, invitation=invitation))
            await asyncio.sleep(0.01)
            at_once = running.link.runs[before:]
            assert at_once == ([(invitation, 1)] if begun else [])
        await asyncio.sleep(4.5)
        assert running.link.runs[-3:] == [(8, 1), (8, 2), (8, 3)]


@virtual_time
async def test_an_order_that_is_not_acknowledged_is_withdrawn_and_reported(tmp_path: Path) -> None:
    async with Running(tmp_path) as running:
        with pytest.raises(Refusal, match="the safety process does not answer; the order was withdrawn"):
            await running.ask("selftest")
        assert not running.box.requests.outstanding


@virtual_time
async def test_only_the_installer_may_act_as_one(tmp_path: Path) -> None:
    async with Running(tmp_path) as running:
        with pytest.raises(Refusal, match="only root"):
            await running.ask("clear", role="INSTALLER", installer=False)
        with pytest.raises(Refusal, match="only root"):
            await running.ask("reload", installer=False)
        with pytest.raises(Refusal, match="role: 'boss' is not allowed; one of USER, INSTALLER"):
            await running.ask("clear", role="boss")


@virtual_time
async def test_without_a_matter_device_the_true_reason_is_told(tmp_path: Path) -> None:
    async with Running(tmp_path) as running:
        with pytest.raises(Refusal, match="no Matter device: it is still being loaded"):
            await running.ask("commission")
        await running.node.run_matter_device(None, Equipment())
        with pytest.raises(Refusal, match="no Matter device: it was started with --no-matter"):
            await running.ask("commission")
        assert not any("Matter" in text for text in (notice.text for notice in running.node.node_status().notices))


@virtual_time
async def test_a_matter_device_that_cannot_be_loaded_is_told_with_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def missing(*_: object) -> None:  # a thread would not keep to virtual time
        raise ImportError("the package it takes is not there")

    monkeypatch.setattr(asyncio, "to_thread", missing)
    async with Running(tmp_path) as running:
        device = asyncio.create_task(running.node.run_matter_device(MatterOptions(), Equipment()))
        device.add_done_callback(running.node.matter_ended)
        await asyncio.wait({device})
        await asyncio.sleep(0)
        with pytest.raises(Refusal, match="no Matter device: ImportError: the package it takes is not there"):
            await running.ask("commission")
        told = running.node.node_status()
        assert "Matter does not run: ImportError: the package it takes is not there" in [
            each.text for each in told.notices
        ]
        assert (told.matter, told.matter_absence) == (None, "ImportError: the package it takes is not there")


@virtual_time
async def test_a_new_installation_is_read_and_the_safety_process_told(tmp_path: Path) -> None:
    async with Running(tmp_path) as running:
        lower = replace(SIMULATED_INSTALLATION, circuit_capacity_ma=Milliamps(10_000))
        write_installation(running.paths.installation, lower)
        talking = asyncio.create_task(answering(running))
        await running.ask("reload")
        assert running.link.last.request == Request.RELOAD_INSTALLATION
        talking.cancel()
        assert running.box.installation == lower
        running.paths.installation.write_text("phases = 9")
        await running.node.reload()
        assert any("installation.toml" in warning for warning in warnings(await running.ask("status")))


@virtual_time
async def test_history_is_what_is_stored_and_what_runs(tmp_path: Path) -> None:
    async with Running(tmp_path) as running:
        for state in "BCACB":
            running.safety.become(state)
            running.speak()
            await asyncio.sleep(60)
        sessions = await running.ask("sessions")
        assert [(session["number"], session["ended"]) for session in sessions] == [(2, False), (1, True)]
        assert len(await running.ask("sessions", limit=1)) == 1
        assert [session["number"] for session in await running.ask("sessions", before=2)] == [1]
        with pytest.raises(Refusal, match="limit: 0 is not allowed; a whole number from 1 to 1000"):
            await running.ask("faults", limit=0)
        assert await running.ask("faults") == []
        await asyncio.sleep(300)
        assert [change["state"] for change in await running.ask("transitions")][-1] == "B2"
        assert (await running.ask("version"))["version"]


@virtual_time
async def test_what_was_written_before_the_clock_was_known_is_dated_by_an_administrators_word(tmp_path: Path) -> None:
    async with Running(tmp_path) as running:
        running.clock.set_unix_s(None)
        running.safety.become("B")
        running.speak()
        await asyncio.sleep(600)
        assert (await running.ask("transitions"))[0]["unix_s"] is None
        assert "not known" in warnings(await running.ask("status"))[0]
        running.node.charger.tell_time(UNIX_S * 1_000_000)
        await asyncio.sleep(2)
        assert warnings(await running.ask("status")) == []
        begun_s = running.clock.unix_s() - 602  # type: ignore[operator]
        for command, name in (("transitions", "unix_s"), ("sessions", "started_unix_s")):
            assert (await running.ask(command))[0][name] == pytest.approx(begun_s, abs=2)


@virtual_time
async def test_a_watcher_is_notified_of_a_change_at_once_and_of_each_second(tmp_path: Path) -> None:
    async with Running(tmp_path) as running:
        lines = Service(*running.commands.offers).offers[WATCH.name].answer(Nothing(), Caller(1000, False))
        loop = asyncio.get_running_loop()
        assert (await anext(lines)).pilot is None
        running.speak()
        assert to_plain((await anext(lines)).pilot)["state"] == "A"
        begun = loop.time()
        await anext(lines)
        assert loop.time() - begun <= 1.0
        await lines.aclose()


@virtual_time
async def test_a_full_disk_is_a_warning_and_the_box_goes_on(tmp_path: Path) -> None:
    async with Running(tmp_path) as running:
        connection = running.store._connection
        await running.storage.call(_no_more_pages, connection)
        for state in "BCA" * 40:
            running.safety.become(state)
            running.speak()
            await asyncio.sleep(30)
        shown = await running.ask("status")
        assert any("cannot be stored" in warning and "full" in warning for warning in warnings(shown))
        stopped = await running.ask("stop")
        assert (stopped["stored"], "full" in stopped["not_stored_because"]) == (False, True)
        await asyncio.sleep(0.01)
        assert not running.link.last.permitted
        assert len(await running.ask("sessions", limit=100)) == 40
        assert connection is not None
        await running.storage.call(connection.execute, "PRAGMA max_page_count = 1000000")
        await asyncio.sleep(60)
        assert warnings(await running.ask("status")) == []


def _no_more_pages(connection: Any) -> None:
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages}")


@pytest.mark.hazard("H-18")
@pytest.mark.parametrize("permitted", [True, False])
async def test_without_matter_what_the_settings_forbid_is_forbidden_and_told(tmp_path: Path, permitted: bool) -> None:
    store = Store(tmp_path / "evse.db")
    settings = NOTHING_SET.enabled() if permitted else NOTHING_SET.enabled().disabled()
    store.write([settings_row(settings), owner_row(OWNER_DEFAULT)])
    store.close()
    with closing(SqliteStore(tmp_path / "evse.db")) as keys, keys.transaction() as transaction:
        transaction.put("fabric/1/record", b"read by the Matter node alone")
    clock = SystemClock()
    link, stopping = FakeLink(clock), asyncio.Event()
    paths = NodePaths(tmp_path, tmp_path, tmp_path / "installation.toml")
    serving = asyncio.create_task(serve(load_board("simulated"), NO_HARDWARE, link, paths, clock, stopping))
    while not link.sent:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    assert link.last.permitted is permitted
    stopping.set()
    await serving
    store = Store(tmp_path / "evse.db")
    why = {} if permitted else {"doubt": "NO_CONTROLLER"}
    assert store.setting("owner") == {"permitted": permitted, "limit_ma": None, **why}
    store.close()
    link.close()


async def test_without_matter_a_time_of_use_charge_is_planned_and_can_be_begun_at_once(tmp_path: Path) -> None:
    clock = SystemClock(SystemTime(kernel=lambda: True))  # a machine with a time server
    in_twelve_hours = datetime.now(clock.zone) + timedelta(hours=12)
    target = Target(in_twelve_hours.hour * 60 + in_twelve_hours.minute, None, MilliwattHours(20_000_000))
    settings = ChargingSettings(targets=(DaySchedule(0x7F, (target,)),), mode=ChargeMode.TIME_OF_USE)
    store = Store(tmp_path / "evse.db")
    store.write([settings_row(settings), owner_row(OWNER_DEFAULT)])
    store.close()
    write_installation(tmp_path / "installation.toml", SIMULATED_INSTALLATION)
    link, stopping = FakeLink(clock), asyncio.Event()
    paths = NodePaths(tmp_path, tmp_path, tmp_path / "installation.toml")
    serving = asyncio.create_task(serve(load_board("simulated"), NO_HARDWARE, link, paths, clock, stopping))
    while not link.sent:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    link.deliver(replace(FakeSafety(clock).become("B"), at_ns=clock.monotonic_ns()))
    await asyncio.sleep(0.05)
    assert (link.last.permitted, link.last.limit_source) == (False, LimitSource.SCHEDULE)
    box = await asyncio.to_thread(Connection, tmp_path / "control.sock")
    assert await asyncio.to_thread(box.call, "start") == {"skipped": ["SCHEDULE"], "held_up_by": []}
    box.close()
    while not link.last.permitted:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    stopping.set()
    await serving
    store = Store(tmp_path / "evse.db")
    kept = load_startup_state(store, None).plan
    assert kept is not None
    assert (kept.mode, kept.holds) == (ChargeMode.TIME_OF_USE, False)
    store.close()
    link.close()


@virtual_time
async def test_the_zone_of_the_place_is_read_again_from_time_to_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Running(tmp_path) as running:
        read = asyncio.Event()
        monkeypatch.setattr(running.clock, "read_zone", read.set)
        async with asyncio.timeout(60):
            await read.wait()


async def test_a_node_that_ends_has_written_what_it_knew(tmp_path: Path) -> None:
    clock = SystemClock()
    link, stopping = FakeLink(clock), asyncio.Event()
    paths = NodePaths(tmp_path, tmp_path, tmp_path / "installation.toml")
    serving = asyncio.create_task(serve(load_board("simulated"), NO_HARDWARE, link, paths, clock, stopping))
    while not link.sent:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    link.deliver(replace(FakeSafety(clock).become("B"), at_ns=clock.monotonic_ns()))
    await asyncio.sleep(0.05)
    stopping.set()
    await serving
    store = Store(tmp_path / "evse.db")
    assert store.sessions()[0].session.ended_ns is None
    assert store.setting("feed") == {"boot_id": 7, "number": 1}
    assert not (tmp_path / "control.sock").exists()
    store.close()
    link.close()
