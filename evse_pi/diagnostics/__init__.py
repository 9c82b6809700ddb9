"""Records of what happened, for the people in the field."""
