"""The safety process: reads, decides, acts and publishes every 10 ms, and never waits."""
