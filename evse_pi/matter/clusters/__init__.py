"""The utility clusters that every node has."""
