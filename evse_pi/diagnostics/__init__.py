"""What the technician sees: why, the black box and its replay, counters, timing, the report."""
