"""`sign.py KEY FILE` writes FILE.sig, a raw Ed25519 signature; `sign.py --public KEY` prints the public key."""

from __future__ import annotations

import sys
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key


def main(arguments: list[str]) -> int:
    """Sign or show."""
    public = arguments[0] == "--public"
    key = load_pem_private_key(Path(arguments[1 if public else 0]).read_bytes(), None)
    if not isinstance(key, Ed25519PrivateKey):
        sys.stderr.write("evse-pi: the key is no Ed25519 key\n")
        return 1
    if public:
        sys.stdout.buffer.write(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
        return 0
    file = Path(arguments[1])
    file.with_name(f"{file.name}.sig").write_bytes(key.sign(file.read_bytes()))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
