"""Verifying claims of many callers together, on their way to the writer.

Each caller could do it in its own thread. But a signature lets go of the interpreter and asks for it back,
and with many callers that costs several times the signature. One thread takes all that wait instead, has
them verified at once, and hands what is right to the writer together.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import NamedTuple

from stemedb import limits
from stemedb.engine.batch import Change
from stemedb.engine.claims import Checked, Unverified
from stemedb.engine.pending import Pending, why_not
from stemedb.engine.verifiers import Verifiers
from stemedb.engine.writer import Writer
from stemedb.errors import StemedbError

Admit = Callable[[Checked], Change]
"""Lets a verified claim be written, or raises why not."""


class _Ticket(NamedTuple):
    unverified: Unverified
    admit: Admit
    pending: Pending


class Verifying:
    """Owns the thread between those who bring claims and the writer."""

    def __init__(self, verifiers: Verifiers, writer: Writer) -> None:
        """Start the thread."""
        self._verifiers = verifiers
        self._writer = writer
        self._tickets: list[_Ticket] = []
        self._busy = False
        self._closed = False
        self._wake = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="stemedb-verifying")
        self._thread.start()

    def begin(self, unverified: Unverified, admit: Admit, key_id: bytes | None) -> Pending:
        """Take a claim, whose caller may then wait for what becomes of it.

        `admit` is called once it is verified: by this thread if nothing else is under way, else by another.

        Raises:
            Unavailable: too many wait, or this is closing.
        """
        pending = Pending(key_id)
        with self._wake:
            waiting = len(self._tickets) + 1
            if refusal := why_not(closed=self._closed, waiting=waiting, most=limits.VERIFYING_CLAIMS_MAX):
                raise refusal
            ticket = _Ticket(unverified, admit, pending)
            alone = not self._busy and not self._tickets and self._writer.idle
            if alone:
                self._busy = True
            else:
                self._tickets.append(ticket)
                if not self._busy:
                    self._wake.notify()
        if alone:
            # Nobody to share with: another thread would only have to be woken.
            self._hand_on([ticket])
        return pending

    def close(self) -> None:
        """Take no more, hand on what waits, end the thread; a second call does nothing."""
        with self._wake:
            self._closed = True
            self._wake.notify()
        self._thread.join()

    def _run(self) -> None:
        while tickets := self._take():
            self._hand_on(tickets)

    def _take(self) -> list[_Ticket]:
        with self._wake:
            while self._busy or not (self._tickets or self._closed):
                self._wake.wait()
            taken, self._tickets = self._tickets, []
            self._busy = bool(taken)
            return taken

    def _hand_on(self, tickets: Sequence[_Ticket]) -> None:
        try:
            found = verify_all(self._verifiers, [ticket.unverified for ticket in tickets])
            admitted = [
                ticket.pending
                for ticket, checked in zip(tickets, found, strict=True)
                if _is_admitted(ticket, checked)
            ]
            self._writer.begin_all(admitted)
        except Exception as error:  # noqa: BLE001 - whoever waits must hear of it, and the thread go on
            for ticket in tickets:
                ticket.pending.refuse(error)
        finally:
            with self._wake:
                self._busy = False
                if self._tickets or self._closed:
                    self._wake.notify()


def verify_all(verifiers: Verifiers, claims: Sequence[Unverified]) -> list[Checked | StemedbError]:
    """Return each claim as it was verified, or why it is refused, in order; blocks while that takes."""
    verdicts = verifiers.verify([one for claim in claims for one in claim.signed])
    found: list[Checked | StemedbError] = []
    first = 0
    for claim in claims:
        after = first + len(claim.given)
        try:
            found.append(claim.verified(verdicts[first:after]))
        except StemedbError as error:
            found.append(error.with_traceback(None))
        first = after
    return found


def _is_admitted(ticket: _Ticket, checked: Checked | StemedbError) -> bool:
    """Let a claim carry on to the writer; tell its caller where it may not."""
    if isinstance(checked, StemedbError):
        ticket.pending.refuse(checked)
        return False
    try:
        ticket.pending.carry([ticket.admit(checked)])
    except Exception as error:  # noqa: BLE001 - its caller's, who waits for it; the thread is everybody's
        ticket.pending.refuse(error)
        return False
    return True
