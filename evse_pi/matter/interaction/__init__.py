"""The interaction model: read, write, invoke, subscribe."""
