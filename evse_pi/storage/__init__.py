"""The one database of the node, and the one thread that writes it."""
