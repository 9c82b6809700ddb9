"""The words of notices in English: what people must know and what stops no charge, as `evse_pi.api.texts.english`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evse_pi.api.status import NoticeKind
from evse_pi.api.texts.catalogue import tr
from evse_pi.api.troubles import DoubtKind, MeterTroubleKind, StorageTroubleKind

if TYPE_CHECKING:
    from collections.abc import Mapping

NOTICES: Mapping[NoticeKind, tuple[str, str]] = {
    NoticeKind.STORAGE: (
        tr("the disk"),
        tr("Free space on the disk, or replace the card: df -h, journalctl -u evse-pi-node."),
    ),
    NoticeKind.INSTALLATION: (tr("the installer's file"), tr("Have the installer set it again: sudo evse-pi setup.")),
    NoticeKind.PERMISSION: (
        tr("the permission"),
        tr("What was set before is lost or cannot be read; permit again with: evse-pi permit."),
    ),
    NoticeKind.BENCH_ONLY: (tr("the board"), tr("Do not connect this board to the mains without supervision.")),
    NoticeKind.BOOT: (
        tr("the boot settings"),
        tr(
            "Until they are in force a start may move the coil's line; run: "
            "sudo /opt/evse-pi/current/bin/python -I -m evse_pi.run.boot_settings, then restart the Pi."
        ),
    ),
    NoticeKind.CLOCK: (
        tr("the clock"),
        tr("Connect the box to a network with a time server; a clock set by hand does not count."),
    ),
    NoticeKind.IDENTITY: (
        tr("the identity"),
        tr("Decide whose it is: evse-pi commission --new-identity, or evse-pi commission --keep-identity."),
    ),
    NoticeKind.MATTER: (
        tr("Matter"),
        tr("Charging does not depend on it; read: evse-pi log, then restart the node process."),
    ),
    NoticeKind.WEB: (
        tr("the web page"),
        tr("Charging does not depend on it; choose another port with --web-port, or end what has this one."),
    ),
    NoticeKind.CHARGING_PLAN: (
        tr("the charging plan"),
        tr("It charges at once; ask for less or for later, or raise the limit that is in the way."),
    ),
    NoticeKind.DEVICE: (
        tr("a device"),
        tr("Check supply, bus and address of this device; the box tries again by itself."),
    ),
    NoticeKind.RECORDINGS: (tr("recordings"), tr("Free space on the disk; the last recordings wait in memory.")),
    NoticeKind.RESTARTED: (
        tr("a restart"),
        tr("Read the last fault: evse-pi faults; attach evse-pi report to a ticket when it repeats."),
    ),
}

FORBIDDEN_UNTIL_PERMITTED = tr("charging is forbidden until: evse-pi permit ({doubt})")
FOR_THE_BENCH_ONLY = tr("for the bench only: {reason}")
MATTER_DOES_NOT_RUN = tr("Matter does not run: {trouble}")
MATTER_IS_TRIED_AGAIN = tr("Matter does not run and is tried again: {trouble}")
MADE_ON_ANOTHER_MACHINE = tr(
    "this Matter identity was made on another machine: a box with a copy of this card has the same passcode, keys and "
    "controllers. For a box of its own: evse-pi commission --new-identity; where this machine took the place "
    "of the other one: evse-pi commission --keep-identity"
)
TARGET_TOO_SOON = tr("the charging target of {at} cannot be reached in time")
WEB_PAGE_NOT_SERVED = tr("the web page is not served: {trouble}")
METER_TROUBLES: Mapping[MeterTroubleKind, str] = {
    MeterTroubleKind.CURRENT_THOUGH_OPEN: (
        tr("it shows {current} though the contactor is open: frozen, or the meter of another circuit")
    ),
    MeterTroubleKind.FROZEN: (
        tr(
            "no register has moved for five minutes, voltage and frequency neither: frozen; it is not used, "
            "and without it "
            "nothing is offered"
        )
    ),
    MeterTroubleKind.BACKWARDS: (
        tr(
            "it shows {power}: wired backwards, swap its two sides or set meter_inverted; energy is "
            "estimated until then"
        )
    ),
    MeterTroubleKind.PHASE_BACKWARDS: (
        tr("L{phase} goes through it backwards, swap the two sides of L{phase}; energy is estimated until then")
    ),
    MeterTroubleKind.ENERGY_STANDS_STILL: tr(
        "its energy stands still at {power}: frozen, or a register of another model"
    ),
    MeterTroubleKind.MORE_THAN_SHOWN: (
        tr(
            "its energy grows by more than the {power} that it shows: part of it is frozen, or a register of another "
            "model; it is not used, and without it nothing is offered"
        )
    ),
    MeterTroubleKind.POWER_TOO_SMALL: (
        tr(
            "it shows {power} at {current}: another unit, such as kW, or a register of another model; volts "
            "times amps are "
            "used in place of it"
        )
    ),
    MeterTroubleKind.BEYOND_CIRCUIT: tr(
        "it shows {power}, more than this circuit can carry: disturbed, or another model"
    ),
}
THERMOMETER_STANDS_STILL = tr(
    "it has not moved for an hour under load: frozen, or a very steady box; half the current is offered until it moves"
)
THERMOMETER_JUMPS = tr("it jumps as no part of a box can; it is not used until two readings agree")
CLOCK_UNKNOWN = tr("the time of day is not known; history is dated once it is")
CLOCK_BEHIND = tr("the clock shows {shown} and is wrong: the history goes to {latest}")
CLOCK_SET_FORWARD = tr("the clock was set forward by {by_s} s; what happened since the machine started was dated again")
CLOCK_SET_BACK = tr("the clock was set back by {by_s} s; what happened since the machine started was dated again")
PERMISSION_DOUBTS: Mapping[DoubtKind, str] = {
    DoubtKind.UNREADABLE: tr("the owner's permission cannot be read"),
    DoubtKind.LOST: tr("the owner's permission was lost with the database"),
    DoubtKind.NO_CONTROLLER: tr("no controller decides any more, and the last settings did not permit it"),
    DoubtKind.FABRICS_DAMAGED: tr("the records of fabric {detail} were damaged"),
    DoubtKind.UPDATE_TAKEN_BACK: tr("an update was taken back, and the database from before it is in force"),
    DoubtKind.RESTORED: tr("a backup was restored, which is older than what was said since"),
    DoubtKind.AS_TOLD: tr("{detail}"),
}
STORAGE_TROUBLES: Mapping[StorageTroubleKind, str] = {
    StorageTroubleKind.NOT_ANSWERED_YET: tr("the storage has not answered yet"),
    StorageTroubleKind.REFUSES: tr("settings and history cannot be stored: {detail}"),
    StorageTroubleKind.HANGS: tr("settings and history cannot be stored: the disk has not answered for {number} s"),
    StorageTroubleKind.SET_ASIDE: tr("the database was damaged; it was set aside as {detail}, a new one is in use"),
    StorageTroubleKind.LEFT_OUT: tr("{number} stored entries cannot be read and are left out ({detail}): see the log"),
    StorageTroubleKind.GIVEN_UP: tr("{number} entries could not be stored and were given up: see the log"),
    StorageTroubleKind.HISTORY_GIVEN_UP: tr("{number} entries of the history were given up while the disk took none"),
}
DISK_SILENT = tr("the disk has not answered for {seconds} s")
STORED_ONLY_LATER = tr("the disk did not take it; it is tried again")
STARTED_WITHOUT_MATTER = tr("it was started with --no-matter")
MATTER_IS_BEING_LOADED = tr("it is still being loaded")
MATTER_IS_STARTING = tr("it is starting")
RECORDINGS_NOT_STORED = tr("recordings cannot be stored: {trouble}")
BOOT_SETTINGS_UNREADABLE = tr("the boot settings cannot be checked: {error}")
BOOT_SETTINGS_AT_NEXT_START = tr(
    "the boot settings were put right after this start: restart the Raspberry Pi to bring them into force"
)
DEVICE_SILENT = tr("no answer for {seconds} s")
