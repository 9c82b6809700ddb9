"""What only the installer may do, who the installer is, and what of it is on record."""
