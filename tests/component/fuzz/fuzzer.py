"""A coverage-guided fuzzer for one target: `python -m tests.component.fuzz.fuzzer TARGET CORPUS [libFuzzer options]`.

TARGET is the name of a decoder, `codecs` for all of them, or `node` for a whole node.

Without options it runs until it finds something. Each run adds what reaches new code to CORPUS.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["evse_pi.matter", "evse_pi.core.records", "evse_pi.api", "chip.tlv"]):
    from tests.component.fuzz import codecs, node

TARGETS = {**codecs.TARGETS, "codecs": codecs.any_decoder, "node": node.whole_node}


def seeds(name: str) -> list[bytes]:
    if name == "node":
        return node.seeds()
    return codecs.any_seeds() if name == "codecs" else codecs.seeds()[name]


def main() -> None:
    name, corpus = sys.argv[1], Path(sys.argv[2])
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds(name)):
        corpus.joinpath(f"seed-{number}").write_bytes(seed)
    atheris.Setup([sys.argv[0], str(corpus), *sys.argv[3:]], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
