"""One HTTP request as the routes see it, and the replies they make."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final, TypeVar
from urllib.parse import unquote_plus

import bottle
import msgspec

from stemedb import limits
from stemedb.api import problem
from stemedb.errors import Fault, Invalid, LengthRequired, StemedbError, TooLarge, UnsupportedMediaType
from stemedb.guard import ANYONE, Caller, Origin

JSON: Final = "application/json"
NDJSON: Final = "application/x-ndjson"

Body = TypeVar("Body")

_STATUS_LINES: Final = {each.value: f"{each.value} {each.phrase}" for each in HTTPStatus}
_encoder = msgspec.json.Encoder()


class Call:
    """A request: its path arguments, parameters, headers and body."""

    __slots__ = ("_parameters", "arguments", "environ")

    def __init__(self, environ: dict[str, Any], arguments: Mapping[str, str]) -> None:
        """Look at `environ` (WSGI); `arguments` are the variable parts of the path."""
        self.environ = environ
        self.arguments = arguments
        self._parameters: dict[str, list[str]] | None = None

    def header(self, name: str) -> str | None:
        """Return a header's value."""
        value: str | None = self.environ.get(f"HTTP_{name.upper().replace('-', '_')}")
        return value

    def label(self) -> str:
        """Return what the client calls itself, for audits; it proves nothing. Empty where it says nothing."""
        given: str = self.environ.get("HTTP_X_AGENT_ID", "")[: limits.AGENT_LABEL_CHARS_MAX]
        return given if given.isascii() and given.isprintable() else ""

    @property
    def origin(self) -> Origin:
        """Where the request comes from."""
        found: Origin = self.environ["stemedb.origin"]
        return found

    @property
    def address(self) -> str:
        """The client's address."""
        return self.origin.address

    @property
    def caller(self) -> Caller:
        """Who asks."""
        found: Caller = self.environ.get("stemedb.caller", ANYONE)
        return found

    def parameters(self) -> dict[str, list[str]]:
        """Return the query's parameters, `a=1&a=2` and `a[]=1&a[]=2` alike; raises `Invalid`."""
        if self._parameters is None:
            self._parameters = self._read_parameters()
        return self._parameters

    def _read_parameters(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        text: str = self.environ.get("QUERY_STRING", "")
        if not text:
            return found
        pairs = [pair for pair in text.split("&") if pair]
        if len(pairs) > limits.QUERY_PARAMETERS_MAX:
            raise Invalid(f"more than {limits.QUERY_PARAMETERS_MAX} parameters")
        try:
            for pair in pairs:
                name, _, value = pair.partition("=")
                found.setdefault(_unquoted(name).removesuffix("[]"), []).append(_unquoted(value))
        except UnicodeDecodeError:
            raise Invalid("the query string is not UTF-8", code="invalid_utf8") from None
        return found

    def no_parameters(self) -> None:
        """Refuse any parameter; raises `Invalid`."""
        if found := self.parameters():
            faults = tuple(Fault(f"/{name}", "is not a parameter of this path") for name in found)
            raise Invalid(f"{faults[0].pointer}: {faults[0].detail}", code="validation", faults=faults)

    def require_media_type(self, wanted: str) -> None:
        """Refuse a body of another type; one without a type is taken for what the path wants."""
        given = self.environ.get("CONTENT_TYPE", "")
        if given == wanted and "HTTP_CONTENT_ENCODING" not in self.environ:
            return
        name, _, details = given.partition(";")
        charset = details.strip().lower()
        if name.strip().lower() not in ("", wanted) or charset not in (
            "",
            "charset=utf-8",
            'charset="utf-8"',
        ):
            raise UnsupportedMediaType(f"the body is {given!r}, this path reads {wanted} in UTF-8")
        if encoding := self.header("Content-Encoding"):
            raise UnsupportedMediaType(f"the body is encoded as {encoding!r}; send it plain")

    def body(self, decoder: msgspec.json.Decoder[Body], *, bytes_max: int = limits.BODY_BYTES_MAX) -> Body:
        """Return the JSON body of at most `bytes_max`.

        Raises:
            StemedbError: length, media type or content are not right (400, 411, 413, 415).
        """
        length = self.environ.get("CONTENT_LENGTH")
        if not length:
            raise LengthRequired("the request has no body, or no Content-Length")
        self.require_media_type(JSON)
        if int(length) > bytes_max:
            raise TooLarge(f"the body has {length} bytes, the limit is {bytes_max}")
        return decode(decoder, self.environ["wsgi.input"].read(int(length)))


def _unquoted(text: str) -> str:
    """Return a name or value of a query string; raises `UnicodeDecodeError`."""
    return unquote_plus(text, errors="strict") if "%" in text or "+" in text else text


def decode(decoder: msgspec.json.Decoder[Body], data: bytes) -> Body:
    """Decode JSON; raises `Invalid` with the place of the fault where there is one."""
    try:
        return decoder.decode(data)
    except msgspec.ValidationError as error:
        raise problem.from_validation(error) from None
    except UnicodeDecodeError:
        raise Invalid("the body is not UTF-8", code="invalid_utf8") from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise Invalid(f"the body is not JSON: {error}", code="malformed_json") from None


class Reply(bottle.HTTPResponse):  # type: ignore[misc]  # bottle has no types
    """A reply of ours: what bottle checks of each header and status, this knows to be right."""

    def __init__(self, body: bytes, status: int, headers: dict[str, str]) -> None:
        """Say `body`; names and values of `headers` are ASCII, names as HTTP usually spells them."""
        self._cookies = None
        self._headers = {name: [value] for name, value in headers.items()}
        self.body = body
        self._status_code = status
        self._status_line = _STATUS_LINES[status]

    @property
    def headerlist(self) -> list[tuple[str, str]]:
        """The headers, to be added to."""
        return [(name, value) for name, values in self._headers.items() for value in values]


def reply(content: object, status: int = 200, *, seq: int | None = None) -> bottle.HTTPResponse:
    """Return `content` as JSON; `seq` is the log position that the reply saw, or that holds the change."""
    headers = {"Content-Type": JSON}
    if seq is not None:
        headers["Stemedb-Seq"] = str(seq)
    return Reply(_encoder.encode(content), status, headers)


def encode(content: object) -> bytes:
    """Return `content` as the JSON of a reply."""
    return _encoder.encode(content)


def content_hash(body: bytes) -> str:
    """Return the hash of a reply's body, as its ETag has it."""
    return hashlib.blake2b(body, digest_size=16).hexdigest()


def tagged(call: Call, content: object, *, seq: int) -> bottle.HTTPResponse:
    """Return a read's reply with its ETag; 304 without body if the client has it already."""
    body = _encoder.encode(content)
    return tagged_body(call, body, content_hash(body), seq=seq)


def tagged_body(
    call: Call, body: bytes, body_hash: str, *, seq: int, audit_id: bytes | None = None
) -> bottle.HTTPResponse:
    """Return what `tagged` does, of a body that is encoded and hashed already, and name its audit."""
    etag = f'"{body_hash}"'
    headers = {"Stemedb-Seq": str(seq), "ETag": etag, "Cache-Control": "no-cache"}
    if audit_id is not None:
        headers["Stemedb-Audit-Id"] = audit_id.hex()
    known = call.environ.get("HTTP_IF_NONE_MATCH")
    if known and (
        known.strip() == "*" or etag in (part.strip().removeprefix("W/") for part in known.split(","))
    ):
        return Reply(b"", HTTPStatus.NOT_MODIFIED, headers)
    headers["Content-Type"] = JSON
    return Reply(body, HTTPStatus.OK, headers)


def refusal(error: StemedbError, request_id: str) -> bottle.HTTPResponse:
    """Return `error` as a problem document."""
    return bottle.HTTPResponse(problem.body_of(error, request_id), error.status, problem.headers_of(error))
