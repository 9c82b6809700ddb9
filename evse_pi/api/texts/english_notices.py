"""The words of notices in English: what people must know and what stops no charge, as `evse_pi.api.texts.english`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evse_pi.api.status import NoticeKind
from evse_pi.api.troubles import DoubtKind, MeterTroubleKind, StorageTroubleKind

if TYPE_CHECKING:
    from collections.abc import Mapping

NOTICES: Mapping[NoticeKind, tuple[str, str]] = {
    NoticeKind.STORAGE: (
        "the disk",
        "Free space on the disk, or replace the card: df -h, journalctl -u evse-pi-node.",
    ),
    NoticeKind.INSTALLATION: ("the installer's file", "Have the installer set it again: sudo evse-pi setup."),
    NoticeKind.PERMISSION: (
        "the permission",
        "What was set before is lost or cannot be read; permit again with: evse-pi permit.",
    ),
    NoticeKind.BENCH_ONLY: ("the board", "Do not connect this board to the mains without supervision."),
    NoticeKind.BOOT: (
        "the boot settings",
        "Until they are in force a start may move the coil's line; run: "
        "sudo /opt/evse-pi/current/bin/python -I -m evse_pi.run.boot_settings, then restart the Pi.",
    ),
    NoticeKind.CLOCK: (
        "the clock",
        "Connect the box to a network with a time server, or set the clock: timedatectl.",
    ),
    NoticeKind.IDENTITY: (
        "the identity",
        "Decide whose it is: evse-pi commission --new-identity, or evse-pi commission --keep-identity.",
    ),
    NoticeKind.MATTER: (
        "Matter",
        "Charging does not depend on it; read: evse-pi log, then restart the node process.",
    ),
    NoticeKind.WEB: (
        "the web page",
        "Charging does not depend on it; choose another port with --web-port, or end what has this one.",
    ),
    NoticeKind.CHARGING_PLAN: (
        "the charging plan",
        "It charges at once; ask for less or for later, or raise the limit that is in the way.",
    ),
    NoticeKind.DEVICE: (
        "a device",
        "Check supply, bus and address of this device; the box tries again by itself.",
    ),
    NoticeKind.RECORDINGS: ("recordings", "Free space on the disk; the last recordings wait in memory."),
    NoticeKind.RESTARTED: (
        "a restart",
        "Read the last fault: evse-pi faults; attach evse-pi report to a ticket when it repeats.",
    ),
}

FORBIDDEN_UNTIL_PERMITTED = "charging is forbidden until: evse-pi permit ({doubt})"
FOR_THE_BENCH_ONLY = "for the bench only: {reason}"
MATTER_DOES_NOT_RUN = "Matter does not run: {trouble}"
MATTER_IS_TRIED_AGAIN = "Matter does not run and is tried again: {trouble}"
MADE_ON_ANOTHER_MACHINE = (
    "this Matter identity was made on another machine: a box with a copy of this card has the same passcode, keys and "
    "controllers. For a box of its own: evse-pi commission --new-identity; where this machine took the place "
    "of the other one: evse-pi commission --keep-identity"
)
TARGET_TOO_SOON = "the charging target of {at} cannot be reached in time"
WEB_PAGE_NOT_SERVED = "the web page is not served: {trouble}"
METER_TROUBLES: Mapping[MeterTroubleKind, str] = {
    MeterTroubleKind.CURRENT_THOUGH_OPEN: (
        "it shows {current} though the contactor is open: frozen, or the meter of another circuit"
    ),
    MeterTroubleKind.FROZEN: (
        "no register has moved for five minutes, voltage and frequency neither: frozen; it is not used, and without it "
        "nothing is offered"
    ),
    MeterTroubleKind.BACKWARDS: (
        "it shows {power}: wired backwards, swap its two sides or set meter_inverted; energy is estimated until then"
    ),
    MeterTroubleKind.PHASE_BACKWARDS: (
        "L{phase} goes through it backwards, swap the two sides of L{phase}; energy is estimated until then"
    ),
    MeterTroubleKind.ENERGY_STANDS_STILL: "its energy stands still at {power}: frozen, or a register of another model",
    MeterTroubleKind.MORE_THAN_SHOWN: (
        "its energy grows by more than the {power} that it shows: part of it is frozen, or a register of another "
        "model; it is not used, and without it nothing is offered"
    ),
    MeterTroubleKind.POWER_TOO_SMALL: (
        "it shows {power} at {current}: another unit, such as kW, or a register of another model; volts times amps are "
        "used in place of it"
    ),
    MeterTroubleKind.BEYOND_CIRCUIT: "it shows {power}, more than this circuit can carry: disturbed, or another model",
}
THERMOMETER_STANDS_STILL = (
    "it has not moved for an hour under load: frozen, or a very steady box; half the current is offered until it moves"
)
THERMOMETER_JUMPS = "it jumps as no part of a box can; it is not used until two readings agree"
CLOCK_UNKNOWN = "the time of day is not known; history is dated once it is"
CLOCK_BEHIND = "the clock shows {shown} and is wrong: the history goes to {latest}"
CLOCK_SET_FORWARD = "the clock was set forward by {by_s} s; what happened since the machine started was dated again"
CLOCK_SET_BACK = "the clock was set back by {by_s} s; what happened since the machine started was dated again"
PERMISSION_DOUBTS: Mapping[DoubtKind, str] = {
    DoubtKind.UNREADABLE: "the owner's permission cannot be read",
    DoubtKind.LOST: "the owner's permission was lost with the database",
    DoubtKind.NO_CONTROLLER: "no controller decides any more, and the last settings did not permit it",
    DoubtKind.FABRICS_DAMAGED: "the records of fabric {detail} were damaged",
    DoubtKind.UPDATE_TAKEN_BACK: "an update was taken back, and the database from before it is in force",
    DoubtKind.RESTORED: "a backup was restored, which is older than what was said since",
    DoubtKind.AS_TOLD: "{detail}",
}
STORAGE_TROUBLES: Mapping[StorageTroubleKind, str] = {
    StorageTroubleKind.NOT_ANSWERED_YET: "the storage has not answered yet",
    StorageTroubleKind.REFUSES: "settings and history cannot be stored: {detail}",
    StorageTroubleKind.HANGS: "settings and history cannot be stored: the disk has not answered for {number} s",
    StorageTroubleKind.SET_ASIDE: "the database was damaged; it was set aside as {detail}, a new one is in use",
    StorageTroubleKind.LEFT_OUT: "{number} stored entries cannot be read and are left out ({detail}): see the log",
    StorageTroubleKind.GIVEN_UP: "{number} entries could not be stored and were given up: see the log",
    StorageTroubleKind.HISTORY_GIVEN_UP: "{number} entries of the history were given up while the disk took none",
}
DISK_SILENT = "the disk has not answered for {seconds} s"
STORED_ONLY_LATER = "the disk did not take it; it is tried again"
STARTED_WITHOUT_MATTER = "it was started with --no-matter"
MATTER_IS_BEING_LOADED = "it is still being loaded"
MATTER_IS_STARTING = "it is starting"
RECORDINGS_NOT_STORED = "recordings cannot be stored: {trouble}"
BOOT_SETTINGS_UNREADABLE = "the boot settings cannot be checked: {error}"
BOOT_SETTINGS_AT_NEXT_START = (
    "the boot settings were put right after this start: restart the Raspberry Pi to bring them into force"
)
DEVICE_SILENT = "no answer for {seconds} s"
