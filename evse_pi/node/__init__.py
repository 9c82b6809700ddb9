"""The node process: everything that may wait, from meters to storage to the command socket."""
