"""Bytes on the wire: message headers, TLV, status codes."""
