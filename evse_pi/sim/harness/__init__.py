"""What only tests and benches use of the simulator."""
