"""The command line of installers and technicians."""
