"""What the box says to people about faults, waits and reasons."""
