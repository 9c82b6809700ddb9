"""What the box is and what may be asked of it: charge point, limits, settings, sessions. It knows no Matter."""
