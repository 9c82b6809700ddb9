"""The charger as Matter endpoints."""
