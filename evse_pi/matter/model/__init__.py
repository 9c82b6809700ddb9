"""The data model: cluster declarations, behaviours, endpoints, events."""
