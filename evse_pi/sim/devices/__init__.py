"""Device nodes that a simulator process serves to unmodified driver libraries."""
