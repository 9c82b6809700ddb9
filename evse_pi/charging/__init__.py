"""What the box is and what may be asked of it: limits, sessions, plans. No I/O."""
