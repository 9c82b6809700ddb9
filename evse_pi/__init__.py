"""evse-pi turns a Raspberry Pi into an EV wallbox."""
