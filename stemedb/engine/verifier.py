"""The program of one verifier: a process that verifies the signatures it is sent (see `verifiers`).

It reads questions from descriptor 0 and writes each answer there, too. A question is a number of signatures
(u32, big-endian) and as many times the agent's key (32 bytes), the signature (64) and the signed message
(61); the answer is a byte for each, 1 where it verifies. It ends when whoever started it closes the other end
or is gone, and at nothing else: signals that end a whole group of processes are meant for its owner.
"""

from __future__ import annotations

import os
import signal
import struct
from contextlib import suppress
from typing import BinaryIO, Final

from stemedb.model.signing import verify_detached

COUNT: Final = struct.Struct(">I")
SIGNED: Final = struct.Struct("32s64s61s")
_DESCRIPTOR: Final = 0


def serve(questions: BinaryIO, descriptor: int) -> None:
    """Answer until the other end is closed, also where it is closed in the middle of a question."""
    while len(head := questions.read(COUNT.size)) == COUNT.size:
        size = COUNT.unpack(head)[0] * SIGNED.size
        signed = questions.read(size)
        if len(signed) < size:
            return
        verdicts = [
            verify_detached(message, given, key) for key, given, message in SIGNED.iter_unpack(signed)
        ]
        answer = memoryview(bytes(verdicts))
        while answer:
            answer = answer[os.write(descriptor, answer) :]


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    with suppress(ConnectionError), os.fdopen(_DESCRIPTOR, "rb") as stream:
        serve(stream, _DESCRIPTOR)
