"""DNS-SD and onboarding codes."""
