"""Sessions, energy, who asks for current, and what is remembered of it."""
