"""Pure decisions: integers in, values out; no clock, I/O, log, thread, random or float."""
