"""Starts the processes of a box and watches them."""
