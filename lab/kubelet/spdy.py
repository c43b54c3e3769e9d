"""SPDY/3.1, as much as a forwarded port needs: frames as they come from the client that opens every stream.

The web has long given this protocol up, but it is the one in which the API server hands a connection to a kubelet.
Layouts and the dictionary of header compression are those of the SPDY draft 3.1, sections 2.2 and 2.6. Windows are not
kept: Kubernetes's own implementation has none.
"""

from __future__ import annotations

import asyncio
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

VERSION: Final = 3
PROTOCOL_ERROR: Final = 1
_SYN_STREAM, _SYN_REPLY, _RST_STREAM, _SETTINGS, _PING, _GOAWAY, _WINDOW_UPDATE = 1, 2, 3, 4, 6, 7, 9
_MEANINGLESS: Final = (_SETTINGS, _GOAWAY, _WINDOW_UPDATE)
"""Nothing follows from them here: the end is that of the connection."""
_CONTROL: Final = 1 << 31
_FIN: Final = 1
_HEAD: Final = struct.Struct("!II")
_NUMBER: Final = struct.Struct("!I")
_OPENING: Final = 10  # stream, associated stream, priority, slot


Headers = Mapping[str, str]
"""Names in lower case, and values."""


class SpdyError(Exception):
    """What arrived is not SPDY/3.1, or is something that a forwarded port has no use for."""


@dataclass(frozen=True, slots=True)
class Opened:
    """SYN_STREAM: the client begins a stream."""

    stream: int
    headers: Headers


@dataclass(frozen=True, slots=True)
class Data:
    """Bytes of a stream. last: this side sends no more of them; the other may go on."""

    stream: int
    data: bytes = b""
    last: bool = False


@dataclass(frozen=True, slots=True)
class Reset:
    """RST_STREAM: the stream is over in both directions. status: why, by number."""

    stream: int
    status: int


@dataclass(frozen=True, slots=True)
class Ping:
    """To be sent back as it came."""

    number: int


Frame = Opened | Data | Reset | Ping


class Incoming:
    """The frames of one connection. Headers are compressed as one text over all streams, so none may be left out."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader
        self._headers = zlib.decompressobj(zdict=DICTIONARY)

    async def next(self) -> Frame:
        """The next frame that means something. Raises IncompleteReadError at the end, and SpdyError."""
        while True:
            first, second = _HEAD.unpack(await self._reader.readexactly(_HEAD.size))
            flags, payload = second >> 24, await self._reader.readexactly(second & 0xFFFFFF)
            if not first & _CONTROL:
                return Data(first, payload, bool(flags & _FIN))
            version, kind = first >> 16 & 0x7FFF, first & 0xFFFF
            if version != VERSION:
                raise SpdyError(f"a frame of SPDY version {version}, where {VERSION} is spoken")
            if kind not in _MEANINGLESS:
                return self._control(kind, payload)

    def _control(self, kind: int, payload: bytes) -> Frame:
        try:
            number: int = _NUMBER.unpack_from(payload)[0]
            if kind == _SYN_STREAM:
                return Opened(number, _unpacked(self._headers.decompress(payload[_OPENING:])))
            if kind == _RST_STREAM:
                return Reset(number, _NUMBER.unpack_from(payload, _NUMBER.size)[0])
        except (struct.error, zlib.error, UnicodeDecodeError) as error:
            raise SpdyError(f"a frame of type {kind} that can't be read: {error}") from error
        if kind == _PING:
            return Ping(number)
        raise SpdyError(f"a frame of type {kind}, which no client of a forwarded port sends")


class Outgoing:
    """Frames of the side that answers, as bytes."""

    def __init__(self) -> None:
        self._headers = zlib.compressobj(zdict=DICTIONARY)

    def reply(self, stream: int) -> bytes:
        """SYN_REPLY without headers: the stream is welcome."""
        block = self._headers.compress(packed({})) + self._headers.flush(zlib.Z_SYNC_FLUSH)
        return control(_SYN_REPLY, _NUMBER.pack(stream) + block)

    def frame(self, frame: Data | Reset | Ping) -> bytes:
        if isinstance(frame, Data):
            return _HEAD.pack(frame.stream, (_FIN if frame.last else 0) << 24 | len(frame.data)) + frame.data
        if isinstance(frame, Reset):
            return control(_RST_STREAM, _NUMBER.pack(frame.stream) + _NUMBER.pack(frame.status))
        return control(_PING, _NUMBER.pack(frame.number))


def control(kind: int, payload: bytes) -> bytes:
    """A control frame without flags."""
    return _HEAD.pack(_CONTROL | VERSION << 16 | kind, len(payload)) + payload


def packed(headers: Headers) -> bytes:
    """A block of headers before its compression: a number, then each name and value behind its length."""
    words = (word.encode() for header in headers.items() for word in header)
    return _NUMBER.pack(len(headers)) + _behind_lengths(*words)


def _unpacked(block: bytes) -> dict[str, str]:
    (count,), at = _NUMBER.unpack_from(block), _NUMBER.size
    words: list[str] = []
    for _ in range(2 * count):
        (length,) = _NUMBER.unpack_from(block, at)
        at += _NUMBER.size + length
        words.append(block[at - length : at].decode())
    return dict(zip(words[::2], words[1::2], strict=True))


def _behind_lengths(*words: bytes) -> bytes:
    return b"".join(_NUMBER.pack(len(word)) + word for word in words)


DICTIONARY: Final = (
    _behind_lengths(
        *b"options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age"
        b" allow authorization cache-control connection content-base content-encoding content-language content-length"
        b" content-location content-md5 content-range content-type date etag expect expires from host if-match"
        b" if-modified-since if-none-match if-range if-unmodified-since last-modified location max-forwards pragma"
        b" proxy-authenticate proxy-authorization range referer retry-after server te trailer transfer-encoding upgrade"
        b" user-agent vary via warning www-authenticate method get status".split(),
        b"200 OK",
        *b"version HTTP/1.1 url public set-cookie keep-alive origin".split(),
    )
    + b"100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505203"
    b" Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403"
    b" Forbidden404 Not Found500 Internal Server Error501 Not Implemented503 Service UnavailableJan Feb Mar Apr"
    b" May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun,"
    b" GMTchunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,text/ja"
    b"vascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0."
)
"""What both sides' compressors have seen before the first header, to the byte."""
