"""The installer's files and their seal."""
