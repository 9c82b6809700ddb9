"""What can be asked of a running box, and how."""
