"""The one processor that the threads of a service share.

Python runs one thread at a time, so more processors do not make a service's threads faster. They make them
slower: each time a thread lets go of the interpreter, for a microsecond even, another is woken on another
processor and takes it, and who comes back stands in line. On one processor a thread that is back at once has
not been missed. What works outside the interpreter in processes of its own, the verifiers, gets the others.
"""

from __future__ import annotations

import os
from contextlib import suppress


def settle() -> frozenset[int]:
    """Have this thread, and those that it will start, share a processor; return all that it was allowed.

    Different services of a host take different ones, as far as chance has it. Where the kernel does not allow
    it, everything stays as it is.
    """
    allowed = sorted(os.sched_getaffinity(0))
    with suppress(OSError):
        os.sched_setaffinity(0, {allowed[os.getpid() % len(allowed)]})
    return frozenset(allowed)
