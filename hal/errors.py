"""What can go wrong with a device.

HalError
├── BusTimeout (TimeoutError)            the device did not answer in time
├── DeviceNotFound (OSError)             no such device node, chip select, address or line
├── DevicePermission (PermissionError)   the device node is there and may not be opened
├── DeviceBusy (OSError)                 another process holds the line, channel or port
├── BadReading (ValueError)              the device answered nonsense: CRC, range, stuck bits
└── CalibrationMissing (ValueError)      a reading has no scale
"""

from __future__ import annotations

import errno
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class HalError(Exception):
    """A device does not do what it must."""


class BusTimeout(HalError, TimeoutError):  # noqa: N818 (named for what happened)
    """The device did not answer in time."""


class DeviceNotFound(HalError, OSError):  # noqa: N818
    """There is no such device node, chip select, address or line."""


class DevicePermission(HalError, PermissionError):  # noqa: N818
    """The device node exists and this process may not open it."""


class DeviceBusy(HalError, OSError):  # noqa: N818
    """Another process holds the line, channel or port."""


class BadReading(HalError, ValueError):  # noqa: N818
    """The device answered, and the answer cannot be true."""


class CalibrationMissing(HalError, ValueError):  # noqa: N818
    """A reading has no scale, so it says nothing."""


_BY_ERRNO: dict[int, type[HalError]] = {
    errno.ENOENT: DeviceNotFound,
    errno.ENXIO: DeviceNotFound,
    errno.ENODEV: DeviceNotFound,
    errno.EREMOTEIO: DeviceNotFound,
    errno.EACCES: DevicePermission,
    errno.EPERM: DevicePermission,
    errno.EBUSY: DeviceBusy,
    errno.ETIMEDOUT: BusTimeout,
    errno.EAGAIN: BusTimeout,
}


def kind_of(error: OSError, otherwise: type[HalError] = BadReading) -> type[HalError]:
    """Return the HalError that the errno of `error` stands for, `otherwise` for one that says nothing special."""
    return _BY_ERRNO.get(error.errno or 0, otherwise)


@contextmanager
def naming(device: str) -> Iterator[None]:
    """Turn an OSError of the block into the HalError of its errno, with `device` in front.

    Raises: DeviceNotFound, DevicePermission, DeviceBusy, BusTimeout, or BadReading for every other errno.
    """
    try:
        yield
    except HalError:
        raise
    except OSError as error:
        raise kind_of(error)(f"{device}: {error.strerror or error}") from error
