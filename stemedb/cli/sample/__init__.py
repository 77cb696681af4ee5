"""A sample to try things on: a drug's safety, a rule about tokens, a company's revenue; all names invented.

`claims.csv` is our own writing. Its keys are made from a public phrase, so anybody can sign as a sample
source: they prove nothing, and the same sample gives the same ids and signatures everywhere.
"""

from __future__ import annotations

from pathlib import Path

from blake3 import blake3

from stemedb.model import Signer

PHRASE = "stemedb sample source, its key is public: "
CLAIMS = Path(__file__).with_name("claims.csv")


class SampleKeys:
    """The sample's keys: made from the source's name, never stored."""

    def __init__(self) -> None:
        """Start with none made."""
        self._signers: dict[str, Signer] = {}

    def signer_or_new(self, name: str) -> Signer:
        """Return the public key pair of the sample source called `name`."""
        if name not in self._signers:
            self._signers[name] = Signer(blake3((PHRASE + name).encode()).digest())
        return self._signers[name]

    def save(self) -> None:
        """Do nothing: a phrase needs no keeping."""
