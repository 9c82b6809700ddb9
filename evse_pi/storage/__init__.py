"""The one database of the node, and the thread that uses it."""
