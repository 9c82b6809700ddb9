"""The node process: meters, sessions, storage and requests; it may wait, crash and restart."""
