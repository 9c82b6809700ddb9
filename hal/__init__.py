"""Drivers of a wallbox's hardware, each usable alone: one file, one device, one vendor library."""
