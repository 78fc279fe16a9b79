"""The headers of a tar file by strangers, read with mistrust: which photograph lies where."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import BinaryIO, NamedTuple

from impasto.errors import printable
from impasto.images.formats import is_picture

_BLOCK = 512  # of a tar file
MAX_IMAGE = 1 << 28  # bytes
MAX_IMAGES = 1 << 20  # in a shard
_MAX_LABEL = 1 << 14  # bytes of a long name's own record
_COMPRESSED = {b"\x1f\x8b": "gunzip", b"BZh": "bunzip2", b"\xfd7zXZ": "unxz", b"\x28\xb5\x2f\xfd": "unzstd"}


class Place(NamedTuple):
    """Where in its shard a photograph lies, and what it is called there."""

    name: str
    offset: int
    size: int


class Torn(Exception):
    """What is there is not the whole shard, or no shard; trying again is no use."""


def scan(stream: BinaryIO, size: int) -> list[Place]:
    """Return where the images of a tar file of `size` bytes lie, by its headers alone.

    Links, devices and folders are passed over, and so is what has no image's suffix. Python's own reader is not used:
    it takes the length of a name from the file, however large.

    Raises:
        Torn: not a plain tar file, cut short, or beyond all bounds; says which.
    """
    _check_plain(stream)
    places, offset, label = [], 0, ""
    while (header := _block_at(stream, offset)).strip(b"\0"):
        kind, name, length = _parsed(header)
        start = offset + _BLOCK
        offset = start + -(-length // _BLOCK) * _BLOCK
        if offset > size:
            raise Torn("cut short")
        if kind in b"xL":
            label = _long_name(stream, start, length, kind) or label
            continue
        name, label = label or name, ""
        if kind in b"0\0" and length and is_picture(PurePosixPath(name)):
            if length > MAX_IMAGE or len(places) == MAX_IMAGES:
                raise Torn(f"more than {MAX_IMAGE >> 20} MB in an image or {MAX_IMAGES} images")
            places.append(Place(printable(name)[:200], start, length))
    return places


def _check_plain(stream: BinaryIO) -> None:
    """Refuse a compressed tar file: nothing in it has a place of its own."""
    stream.seek(0)
    start = stream.read(6)
    for signature, tool in _COMPRESSED.items():
        if start.startswith(signature):
            raise Torn(f"compressed ({tool} it)")


def _block_at(stream: BinaryIO, offset: int) -> bytes:
    stream.seek(offset)
    block = stream.read(_BLOCK)
    if len(block) < _BLOCK:  # a whole tar file ends with empty blocks
        raise Torn("cut short")
    return block


def _parsed(header: bytes) -> tuple[bytes, str, int]:
    """Return kind, name and length of the member that a header announces."""
    checksum = sum(header[:148]) + 8 * ord(" ") + sum(header[156:])
    try:
        if int(header[148:156].strip(b" \0"), 8) != checksum:
            raise ValueError
        length = int(header[124:136].strip(b" \0") or b"0", 8)  # a larger one is written otherwise, and too large
        if length < 0:
            raise ValueError
    except ValueError as error:
        raise Torn("not a plain tar file, or damaged") from error
    if header[156:157] == b"S":
        raise Torn("a tar file with holes; write it without --sparse")
    name, prefix = (part.split(b"\0")[0].decode("utf-8", "replace") for part in (header[:100], header[345:500]))
    is_posix = header[257:263] == b"ustar\0"
    return header[156:157], f"{prefix}/{name}" if prefix and is_posix else name, length


def _long_name(stream: BinaryIO, start: int, length: int, kind: bytes) -> str:
    """Return the name that a record before its file gives, or nothing."""
    if length > _MAX_LABEL:
        raise Torn("a name longer than any file's")
    stream.seek(start)
    record = stream.read(length)
    if kind == b"L":
        return record.split(b"\0")[0].decode("utf-8", "replace")
    if re.search(rb"(?m)^\d+ (size|GNU\.sparse\.)", record):
        raise Torn("a tar file with holes or a file of many gigabytes")
    found = re.search(rb"(?m)^\d+ path=(.*)$", record)
    return found[1].decode("utf-8", "replace") if found else ""
