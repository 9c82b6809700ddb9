"""The contract for asking the box: what may be asked, what is answered, and how both travel. It decides nothing."""

API_VERSION = 1
"""Rises when a key is renamed, taken away or changes its meaning; a new key is for those who know it."""
