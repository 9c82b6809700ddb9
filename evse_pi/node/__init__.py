"""The node process: meters, sessions, storage and whoever asks; it may wait, crash and start anew."""
