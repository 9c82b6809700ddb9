"""Who we are and who may do what: certificates, fabrics, access control, fail-safe, attestation."""
