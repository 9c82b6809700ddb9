"""A simulated wallbox: electrical plant, virtual car, emulated device nodes."""
