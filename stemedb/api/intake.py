"""Collects requests without blocking: one thread, all connections, nobody else waits for a client.

A request goes to a worker when its head and body have arrived, or is refused when it is too large, too
slow or malformed. Replies that a client does not take at once come back here and are sent as it takes them.
Linux only: one epoll set with one-shot events, so that a connection has one owner at any time.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from stemedb import limits
from stemedb.api import problem
from stemedb.api.connection import FOREVER, Connection, Stage
from stemedb.api.crowd import Crowd
from stemedb.api.head import given_request_id, read_head
from stemedb.api.stream import StreamOut
from stemedb.errors import StemedbError, TooSlow, Unavailable

if TYPE_CHECKING:
    from stemedb.api.server import Server, Workers

_READ: Final = select.EPOLLIN | select.EPOLLONESHOT
_WRITE: Final = select.EPOLLOUT | select.EPOLLONESHOT
_ACCEPTS_MAX: Final = 64  # in a row, so that a flood of new clients does not starve the others
_RECV_BYTES: Final = 64 * limits.KIB
_TICK_S: Final = 0.5
_DRAIN_TICK_S: Final = 0.05
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


class Intake:
    """All connections of one server."""

    def __init__(self, server: Server, listener: socket.socket, connections_max: int) -> None:
        """Watch `listener`; nothing is accepted before `run`, and never more than `connections_max`."""
        self._server = server
        self._connections_max = connections_max
        self._listener = listener
        listener.settimeout(0)
        self._listener_fd = listener.fileno()
        self._wake_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._epoll = select.epoll()
        self._epoll.register(self._wake_fd, select.EPOLLIN)
        self._accepting = False
        self._connections: dict[int, Connection] = {}
        self._crowd = Crowd()
        self._unsent_bytes = 0
        self._unsent_lock = threading.Lock()
        self._drain_began = FOREVER
        self._drain_until = FOREVER
        self._next_sweep = 0.0

    @property
    def connections_count(self) -> int:
        """How many connections are open."""
        return len(self._connections)

    def run(self) -> None:
        """Serve until drained."""
        self._listen(wanted=True)
        while not self._drained():
            tick_s = _DRAIN_TICK_S if self._server.draining else _TICK_S
            for fd, _ in self._epoll.poll(tick_s):
                if fd == self._listener_fd:
                    self._accept()
                elif fd == self._wake_fd:
                    os.eventfd_read(self._wake_fd)
                    self._begin_drain()
                elif connection := self._connections.get(fd):
                    self._advance(connection)
            self._sweep(time.monotonic(), tick_s)
        self._end()

    def drain(self) -> None:
        """Ask `run` to accept no more, finish what is connected, and return. Safe in a signal handler."""
        os.eventfd_write(self._wake_fd, 1)

    def _begin_drain(self) -> None:
        if not self._server.adopted:
            # Nobody else will accept from this queue: whoever is in it would be cut when it closes.
            while self._accept():
                pass
        self._listen(wanted=False)
        self._listener.close()
        self._drain_began = time.monotonic()
        self._drain_until = self._drain_began + limits.DRAIN_TIMEOUT_S

    def _drained(self) -> bool:
        if self._drain_began == FOREVER:
            return False
        return not self._connections or time.monotonic() > self._drain_until

    def _end(self) -> None:
        for connection in list(self._connections.values()):
            self._drop(connection)
        self._epoll.close()
        os.close(self._wake_fd)

    # -- accepting --

    def _listen(self, *, wanted: bool) -> None:
        if wanted and not self._accepting:
            self._epoll.register(self._listener_fd, select.EPOLLIN)
        elif self._accepting and not wanted:
            self._epoll.unregister(self._listener_fd)
        self._accepting = wanted

    def _accept(self) -> bool:
        """Accept what waits; say whether there may be more."""
        for _ in range(_ACCEPTS_MAX):
            if len(self._connections) >= self._connections_max and not self._make_way():
                # The sweep looks again; until then they wait in the kernel's queue.
                self._listen(wanted=False)
                return False
            try:
                sock, address = self._listener.accept()
            except BlockingIOError:
                return False
            except OSError as error:
                if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                    self._listen(wanted=False)  # as above: polling on would spin
                    return False
                continue  # a client that was gone before we came
            sock.settimeout(0)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = Connection(self._server, sock, address)
            connection.wait(Stage.COLLECTING, limits.HEAD_TIMEOUT_S)
            self._connections[connection.fd] = connection
            self._crowd.add(connection)
            self._epoll.register(connection.fd, _READ)
        return True

    def _make_way(self) -> bool:
        """Drop some connections that wait for their clients, so that new ones find room; say whether any."""
        leaving = self._crowd.too_many()
        for connection in leaving:
            if connection.collected:
                self._say(connection, Unavailable("too many connections", code="overloaded"))
            self._drop(connection)
        return bool(leaving)

    # -- collecting --

    def _advance(self, connection: Connection) -> None:
        if connection.stage is Stage.SERVING:
            return  # an event meant for who had this descriptor before; a worker has the connection
        if connection.stage is Stage.SENDING:
            self._send(connection)
            return
        if connection.pipelined:
            connection.pipelined = False
            connection.wait(Stage.COLLECTING, limits.HEAD_TIMEOUT_S)
            self._consider(connection)
            return
        try:
            data = connection.socket.recv(_RECV_BYTES)
        except BlockingIOError:
            self._epoll.modify(connection.fd, _READ)
            return
        except OSError:
            data = b""
        if not data:
            self._drop(connection)
        elif connection.stage is Stage.LINGERING:
            self._epoll.modify(connection.fd, _READ)
        else:
            self._collect(connection, data)

    def _collect(self, connection: Connection, data: bytes) -> None:
        if connection.collected:
            if isinstance(connection.collected, bytes):
                connection.collected = bytearray(connection.collected)
            connection.collected += data
        else:
            # RFC 9112 2.2: empty lines before a request are an old habit of clients, to be ignored. They
            # begin nothing, so they do not lengthen the time that a connection may lie idle either.
            connection.collected = data.lstrip(b"\r\n")
            if not connection.collected:
                self._epoll.modify(connection.fd, _READ)
                return
            connection.wait(Stage.COLLECTING, limits.HEAD_TIMEOUT_S)
        self._crowd.hold(connection, len(connection.collected))
        for each in self._crowd.too_large():
            self._refuse(each, Unavailable("too many unfinished requests", code="overloaded"))
        if connection.stage is not Stage.COLLECTING:
            return  # it was the largest of all
        if self._crowd.is_full:
            self._refuse(connection, Unavailable("too many unfinished requests", code="overloaded"))
        else:
            self._consider(connection)

    def _consider(self, connection: Connection) -> None:
        """Hand the request over if it is whole, else wait for more of it."""
        try:
            workers = self._workers_for(connection)
        except StemedbError as error:
            self._refuse(connection, error)
            return
        if workers is None:
            self._epoll.modify(connection.fd, _READ)
        else:
            workers.put(connection)

    def _workers_for(self, connection: Connection) -> Workers | None:
        """Return who shall answer, with the connection made ready for them; None while bytes are missing."""
        head = connection.head
        if head is None:
            head = connection.head = read_head(connection.collected)
            if head is None:
                return None
            connection.wait(Stage.COLLECTING, limits.BODY_TIMEOUT_S)
            if head.streamed:
                self._reserve_bulk()
            if head.expects_continue and len(connection.collected) < max(head.total, head.size + 1):
                with suppress(OSError):
                    connection.socket.send(_CONTINUE)
        if head.streamed:
            connection.begin_streaming()
            return self._server.bulk
        if len(connection.collected) < head.total:
            return None
        if self._server.requests.is_full_for(connection.place):
            raise Unavailable("too many requests wait for a worker", code="overloaded")
        connection.begin_serving()
        return self._server.requests

    def _reserve_bulk(self) -> None:
        if not self._server.bulk.try_reserve():
            raise Unavailable(
                f"{limits.BULK_REQUESTS_MAX} bulk requests are running already",
                code="bulk_busy",
                retry_after_s=limits.BULK_RETRY_AFTER_S,
            )

    # -- replying --

    def answered(self, connection: Connection, *, keep: bool) -> None:
        """Send what a worker left, then wait for the next request if `keep`; the worker's last act."""
        if isinstance(connection.wfile, StreamOut):
            connection.socket.settimeout(0)
            self._linger(connection)
            return
        self._crowd.hold(connection, len(connection.collected))
        connection.keep = keep
        connection.unsent = memoryview(connection.wfile.take())
        if self._try_send(connection):
            self._turn(connection)
        elif connection.unsent:
            with self._unsent_lock:
                self._unsent_bytes += len(connection.unsent)
                full = self._unsent_bytes > limits.UNSENT_BYTES_MAX
            connection.unsent_counted = len(connection.unsent)
            if full:
                self._drop(connection)
            else:
                connection.wait(Stage.SENDING, limits.REPLY_TIMEOUT_S)
                self._epoll.modify(connection.fd, _WRITE)

    def _try_send(self, connection: Connection) -> bool:
        """Send what the client takes now; say whether that was all. A lost client is dropped."""
        try:
            sent = connection.socket.send(connection.unsent)
        except BlockingIOError:
            return False
        except OSError:
            connection.unsent = memoryview(b"")
            self._drop(connection)
            return False
        connection.unsent = connection.unsent[sent:]
        return not connection.unsent

    def _send(self, connection: Connection) -> None:
        if self._try_send(connection):
            self._turn(connection)
        elif connection.unsent:
            self._epoll.modify(connection.fd, _WRITE)

    def _turn(self, connection: Connection) -> None:
        """Go from a reply that is sent to the next request, or to the end."""
        self._forget_unsent(connection)
        if not connection.keep:
            self._drop(connection)
            return
        connection.head = None
        if connection.collected:
            connection.collected = connection.collected.lstrip(b"\r\n")
        connection.pipelined = bool(connection.collected)
        connection.wait(Stage.COLLECTING, limits.IDLE_TIMEOUT_S)
        # The socket takes bytes, so its event comes at once: intake's own thread goes on with what is here.
        self._epoll.modify(connection.fd, _WRITE if connection.pipelined else _READ)

    def _refuse(self, connection: Connection, error: StemedbError) -> None:
        """Refuse what has not become a request."""
        self._say(connection, error)
        self._linger(connection)

    def _say(self, connection: Connection, error: StemedbError) -> None:
        """Send a refusal, as far as it can be sent at once."""
        instance = problem.request_id(given_request_id(connection.collected))
        self._server.refused(error, instance, connection.remote_addr)
        with suppress(OSError):
            connection.socket.send(problem.raw_reply(error, instance))  # small, and nothing was sent before

    def _linger(self, connection: Connection) -> None:
        """Read on for a while: closing on unread bytes would take the reply away from the client."""
        connection.collected = b""
        self._crowd.hold(connection, 0)
        connection.wait(Stage.LINGERING, limits.LINGER_TIMEOUT_S)
        with suppress(OSError):
            connection.socket.shutdown(socket.SHUT_WR)
        self._epoll.modify(connection.fd, _READ)

    # -- ending --

    def _forget_unsent(self, connection: Connection) -> None:
        if connection.unsent_counted:
            with self._unsent_lock:
                self._unsent_bytes -= connection.unsent_counted
            connection.unsent_counted = 0

    def _drop(self, connection: Connection) -> None:
        self._forget_unsent(connection)
        self._crowd.remove(connection)
        self._connections.pop(connection.fd, None)
        connection.close()

    def _sweep(self, now: float, tick_s: float) -> None:
        """End what waited too long, and accept again if there is room again."""
        if now < self._next_sweep:
            return
        self._next_sweep = now + tick_s
        draining = self._drain_began != FOREVER
        for connection in list(self._connections.values()):
            if now > connection.deadline:
                self._expire(connection)
            elif (
                draining
                and connection.idle
                and now - max(connection.since, self._drain_began) > limits.DRAIN_IDLE_S
            ):
                # One last look: a request may have come in this instant.
                self._advance(connection) if _readable(connection) else self._drop(connection)
        self._drop_slow_readers(now)
        if not self._accepting and not draining:
            self._listen(wanted=True)

    def _drop_slow_readers(self, now: float) -> None:
        """While replies fill half of the room they may take, drop the largest that lie there for a while."""
        if self._unsent_bytes <= limits.UNSENT_BYTES_MAX // 2:
            return
        slow = [each for each in self._connections.values() if each.stage is Stage.SENDING]
        for connection in sorted(slow, key=lambda each: -len(each.unsent)):
            if now - connection.since > limits.CROWDED_WAIT_S_MIN:
                self._drop(connection)
            if self._unsent_bytes <= limits.UNSENT_BYTES_MAX // 4:
                return

    def _expire(self, connection: Connection) -> None:
        if connection.stage is Stage.COLLECTING and connection.collected:
            part = "head" if connection.head is None else "body"
            self._refuse(connection, TooSlow(f"the {part} of the request did not arrive in time"))
        else:
            self._drop(connection)


def _readable(connection: Connection) -> bool:
    poll = select.poll()  # select() would fail on descriptors from 1024 on
    poll.register(connection.fd, select.POLLIN)
    return bool(poll.poll(0))
