"""Sessions, metering, demand and storage of the node process."""
