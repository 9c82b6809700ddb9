"""Starts the processes of a box and watches them, restarts those of the installed one, judges and updates releases."""
