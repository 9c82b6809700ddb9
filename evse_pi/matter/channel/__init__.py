"""Secure channel: UDP, sessions, exchanges with MRP, PASE and CASE."""
