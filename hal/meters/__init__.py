"""Energy meters on a serial bus: the Modbus RTU framing once, a register table per model."""
