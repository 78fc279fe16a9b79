"""Files that hurt careless readers, built by code.

`REFUSED` must end in one ImageError line; `READ` only looks strange: it must give the four colours of `QUADRANTS`.
Both map "class/name.suffix" to a function that makes the bytes. `odd_files` adds what is no file at all, `NAMES` are
file names that break terminals and careless code.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import random
import struct
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, PngImagePlugin

QUADRANTS = {"red": (220, 40, 40), "green": (40, 200, 60), "blue": (40, 60, 210), "sand": (230, 210, 160)}
Maker = Callable[[], bytes]
Box = tuple[int, int, int, int]


def quad(width: int = 48, height: int = 32) -> Image.Image:
    """Red and green above blue and sand."""
    red, green, blue, sand = QUADRANTS.values()
    picture = Image.new("RGB", (width, height), red)
    picture.paste(green, (width // 2, 0, width, height // 2))
    picture.paste(blue, (0, height // 2, width // 2, height))
    picture.paste(sand, (width // 2, height // 2, width, height))
    return picture


def encoded(picture: Image.Image, format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format, **options)
    return buffer.getvalue()


# Small writers for what Pillow will not write.


def segment(marker: int, body: bytes) -> bytes:
    """A marker segment of JPEG and of JPEG 2000."""
    return bytes([255, marker]) + struct.pack(">H", len(body) + 2) + body


def png_chunk(kind: bytes, data: bytes, *, checksum: int | None = None) -> bytes:
    checksum = zlib.crc32(kind + data) if checksum is None else checksum
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)


def png(width: int, height: int, depth: int, colour: int, rows: bytes, *extra: bytes) -> bytes:
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    body = png_chunk(b"IDAT", zlib.compress(rows, 9)) + png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(extra) + body


def png_zeros(width: int, height: int) -> bytes:
    """A whole and valid black one-bit picture: a thousandth of its pixels in bytes."""
    return png(width, height, 1, 0, bytes((-(-width // 8) + 1) * height))


def bmp(width: int, height: int, data: bytes = b"", *, depth: int = 24, compression: int = 0) -> bytes:
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, depth, compression, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54 + len(data), 0, 0, 54) + info + data


def gif(width: int, height: int, frame: Box = (0, 0, 1, 1), data: bytes = b"\x02\x02\x44\x01\0") -> bytes:
    screen = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(6)
    return screen + b"\x2c" + struct.pack("<HHHHB", *frame, 0) + data + b";"


def tiff(tags: dict[int, int], data: bytes = b"", *, next_ifd: int = 0) -> bytes:
    """One grey 8-bit directory of long values; data goes after it, its place into StripOffsets or TileOffsets."""
    tags = {258: 8, 259: 1, 262: 1, 277: 1} | tags
    start = 8 + 2 + 12 * len(tags) + 4
    tags = {tag: start if tag in (273, 324) and value == 0 else value for tag, value in tags.items()}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(tags.items()))
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + struct.pack("<I", next_ifd) + data


def webp_lossless(width: int, height: int) -> bytes:
    bits = (width - 1) | (height - 1) << 14
    chunk = b"VP8L" + struct.pack("<I", 10) + b"\x2f" + struct.pack("<I", bits) + bytes(5)
    return b"RIFF" + struct.pack("<I", 4 + len(chunk)) + b"WEBP" + chunk


def j2k(width: int, height: int, *, block: int = 4, precincts: bytes = b"", in_tile: bool = False) -> bytes:
    """A JPEG 2000 stream of next to no data; code blocks of 2 ** (block + 2), one byte of precinct size a level."""
    levels = max(0, len(precincts) - 1)

    def style(block: int, precincts: bytes) -> bytes:
        return segment(0x52, bytes([bool(precincts), 0, 0, 1, 1, levels, block, block, 0, 1]) + precincts)

    size = struct.pack(">HIIIIIIIIH", 0, width, height, 0, 0, width, height, 0, 0, 3) + b"\x07\x01\x01" * 3
    styles = [style(4, b""), style(block, precincts)] if in_tile else [style(block, precincts), b""]
    steps = segment(0x5C, bytes([0x40] * (3 * levels + 2)))
    start = segment(0x90, struct.pack(">HIBB", 0, 0, 0, 1)) + styles[1] + b"\xff\x93"
    return b"\xff\x4f" + segment(0x51, size) + styles[0] + steps + start + bytes(40) + b"\xff\xd9"


def jpeg_scans(side: int, count: int) -> bytes:
    """A progressive grey JPEG of `count` passes, each a hundred bytes of "nothing in the next 32767 blocks"."""
    header = segment(0xDB, b"\0" + b"\1" * 64) + segment(0xC2, struct.pack(">BHHB", 8, side, side, 1) + b"\1\x11\0")
    header += segment(0xC4, b"\x10\1" + bytes(15) + b"\xe0")  # the only code: a run of 16384 blocks and more
    runs = -(-((side + 7) // 8 * ((side + 7) // 8)) // 32767)
    bits = ("0" + "1" * 14) * runs
    data = int(bits.ljust(-(-len(bits) // 8) * 8, "1"), 2).to_bytes(-(-len(bits) // 8)).replace(b"\xff", b"\xff\0")
    return b"\xff\xd8" + header + (segment(0xDA, b"\1\1\0\1\1\0") + data) * count + b"\xff\xd9"


def ico(*pictures: tuple[int, int, bytes]) -> bytes:
    """An icon file; each picture with the size that its entry claims."""
    offset, entries, bodies = 6 + 16 * len(pictures), b"", b""
    for width, height, body in pictures:
        entries += struct.pack("<BBBBHHII", width, height, 0, 0, 1, 32, len(body), offset + len(bodies))
        bodies += body
    return struct.pack("<HHH", 0, 1, len(pictures)) + entries + bodies


def resized_header(data: bytes, marker: bytes, offset: int, size: bytes) -> bytes:
    """Overwrite the size that stands `offset` bytes after `marker`."""
    at = data.index(marker) + offset
    return data[:at] + size + data[at + len(size) :]


def profile(space: bytes, tags: dict[bytes, bytes], *, kind: bytes = b"mntr", connection: bytes = b"XYZ ") -> bytes:
    """A version 2 ICC profile."""
    start, table, body = 128 + 4 + 12 * len(tags), struct.pack(">I", len(tags)), b""
    for tag, data in tags.items():
        table += tag + struct.pack(">II", start + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    white = struct.pack(">3i", 63190, 65536, 54061)
    header = struct.pack(">I4sI4s4s4s", start + len(body), b"none", 0x02400000, kind, space, connection)
    header += struct.pack(">6H4s4sIIIQI", 2020, 1, 1, 0, 0, 0, b"acsp", b"none", 0, 0, 0, 0, 0) + white
    return header.ljust(128, b"\0") + table + body


# The columns of RGB to XYZ under D65, adapted to D50 (Bradford).
DISPLAY_P3 = (0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407)
SRGB = (0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.71410)


def rgb_profile(primaries: tuple[tuple[float, ...], ...] = DISPLAY_P3) -> bytes:
    """A profile by definition: these primaries and the sRGB curve, as a table of 1024 values."""
    levels = np.linspace(0, 1, 1024)
    linear = np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)
    curve = b"curv" + struct.pack(">II", 0, 1024) + (linear * 65535).round().astype(">u2").tobytes()
    columns = dict(zip((b"rXYZ", b"gXYZ", b"bXYZ"), primaries, strict=True))
    xyz = {tag: b"XYZ " + bytes(4) + struct.pack(">3i", *(round(v * 65536) for v in c)) for tag, c in columns.items()}
    name = b"by definition\0"
    text = b"desc" + struct.pack(">II", 0, len(name)) + name + bytes(4 + 4 + 2 + 1 + 67)
    white = b"XYZ " + bytes(4) + struct.pack(">3i", 63190, 65536, 54061)
    tags = {b"desc": text, b"cprt": b"text" + bytes(4) + b"none\0", b"wtpt": white}
    return profile(b"RGB ", tags | xyz | {b"rTRC": curve, b"gTRC": curve, b"bTRC": curve})


def srgb() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def exif(**fields: object) -> bytes:
    block = Image.Exif()
    for name, value in fields.items():
        block[getattr(Image.ExifTags.Base, name)] = value
    return block.tobytes()


@cache
def zlib_zeros(megabytes: int) -> bytes:
    packer = zlib.compressobj(6)
    return b"".join(packer.compress(bytes(2**20)) for _ in range(megabytes)) + packer.flush()


def mpo() -> bytes:
    return encoded(quad(), "MPO", quality=95, subsampling=0, save_all=True, append_images=[Image.new("RGB", (48, 32))])


def noise(size: int, seed: int) -> bytes:
    return random.Random(seed).randbytes(size)


WHOLE: dict[str, Maker] = {
    "photo.jpg": lambda: encoded(quad(), "JPEG", quality=95, subsampling=0),
    "progressive.jpg": lambda: encoded(quad(), "JPEG", quality=95, subsampling=0, progressive=True),
    "photo.png": lambda: encoded(quad(), "PNG"),
    "photo.webp": lambda: encoded(quad(), "WEBP", quality=95),
    "lossless.webp": lambda: encoded(quad(), "WEBP", lossless=True),
    "photo.gif": lambda: encoded(quad(), "GIF"),
    "photo.bmp": lambda: encoded(quad(), "BMP"),
    "photo.tif": lambda: encoded(quad(), "TIFF"),
    "lzw.tif": lambda: encoded(quad(), "TIFF", compression="tiff_lzw"),
    "jpeg.tif": lambda: encoded(quad(), "TIFF", compression="jpeg", quality=95),
    "photo.avif": lambda: encoded(quad(), "AVIF", quality=95, subsampling="4:4:4"),
    "photo.mpo": mpo,
    "photo.ico": lambda: encoded(quad(), "ICO", sizes=[(48, 32)]),
    "bmp.ico": lambda: encoded(quad().convert("RGBA"), "ICO", sizes=[(48, 32)], bitmap_format="bmp"),
    "photo.ppm": lambda: encoded(quad(), "PPM"),
    "photo.jp2": lambda: encoded(quad(), "JPEG2000"),
    "photo.j2k": lambda: encoded(quad(), "JPEG2000", no_jp2=True),
    "photo.tga": lambda: encoded(quad(), "TGA"),
    "rle.tga": lambda: encoded(quad(), "TGA", compression="tga_rle"),
}


# With the end missing, these still hold all of the (first) picture, or enough for their decoder.
TOLERANT = ("photo.jp2", "photo.j2k", "photo.mpo")


def cut(name: str, share: float) -> Maker:
    return lambda: (data := WHOLE[name]())[: max(1, int(len(data) * share))]


def with_png(*chunks: bytes) -> bytes:
    """The quadrants as PNG with `chunks` put in after the header."""
    data = WHOLE["photo.png"]()
    return data[:33] + b"".join(chunks) + data[33:]


def with_jpeg(*segments: tuple[int, bytes]) -> bytes:
    """The quadrants as JPEG with marker segments put in at the start."""
    data = WHOLE["photo.jpg"]()
    return data[:2] + b"".join(segment(*each) for each in segments) + data[2:]


REFUSED: dict[str, Maker] = {
    "empty/empty.jpg": lambda: b"",
    "empty/one-byte.png": lambda: b"\x89",
    "empty/zeros.jpg": lambda: bytes(4096),
    "text/text.jpg": lambda: b"this is no picture\n" * 20,
    "text/page.png": lambda: b"<!doctype html><title>404 Not Found</title>" * 10,
    "text/json.webp": lambda: json.dumps({"error": "expired"}).encode(),
    "text/noise.jpg": lambda: noise(5000, 1),
    "text/text.tga": lambda: b"this is no picture\n" * 20,
    "other format/eps.jpg": lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n(x) (w) file\n%%EOF\n",
    "other format/eps.eps": lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n(x) (w) file\n%%EOF\n",
    "other format/svg.png": lambda: b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
    "other format/pdf.jpg": lambda: b"%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj\n",
    "other format/pickle.png": lambda: pickle.dumps({"a": [1, 2, 3]}),
    "other format/zip.jpg": lambda: b"PK\3\4" + noise(200, 2),
    "other format/elf.bmp": lambda: b"\x7fELF" + noise(200, 3),
    "other format/im.jpg": lambda: encoded(quad(), "IM"),
    "other format/sgi.png": lambda: encoded(quad(), "SGI"),
    "other format/pcx.jpg": lambda: encoded(quad(), "PCX"),
    "other format/dds.png": lambda: encoded(quad(), "DDS"),
    "other format/ico-of-text.ico": lambda: ico((48, 32, b"this is no picture" * 9)),
    **{f"cut at a fifth/{name}": cut(name, 0.2) for name in WHOLE},
    **{f"cut at half/{name}": cut(name, 0.5) for name in WHOLE},
    **{f"cut near the end/{name}": cut(name, 0.85) for name in WHOLE if name not in TOLERANT},
    "bomb/png.png": lambda: png(60_000, 60_000, 8, 2, b""),
    "bomb/whole-png.png": lambda: png_zeros(20_000, 20_000),
    "bomb/png-over-limit.png": lambda: png(11_000, 11_000, 8, 2, b""),
    "bomb/two-headers.png": lambda: with_png(png(50_000, 50_000, 8, 2, b"")[8:33]),
    "bomb/jpeg.jpg": lambda: resized_header(WHOLE["photo.jpg"](), b"\xff\xc0", 5, b"\xfd\xe8\xfd\xe8"),
    "bomb/progressive.jpg": lambda: resized_header(WHOLE["progressive.jpg"](), b"\xff\xc2", 5, b"\xfd\xe8\xfd\xe8"),
    "bomb/bmp.bmp": lambda: bmp(50_000, 50_000),
    "bomb/rle.bmp": lambda: bmp(50_000, 50_000, b"\xff\0" * 500, depth=8, compression=1),
    "bomb/gif.gif": lambda: gif(65_535, 65_535),
    "bomb/gif-frame.gif": lambda: gif(1, 1, (0, 0, 65_535, 65_535)),
    "bomb/tiff.tif": lambda: tiff({256: 100_000, 257: 100_000, 273: 0, 279: 100, 278: 100_000}, bytes(100)),
    "bomb/tile.tif": lambda: tiff(
        {256: 16, 257: 16, 259: 8, 322: 17_000, 323: 17_000, 324: 0, 325: 300_000}, zlib_zeros(300)
    ),
    "bomb/webp.webp": lambda: webp_lossless(16_383, 16_383),
    "bomb/webp-over-limit.webp": lambda: webp_lossless(12_000, 12_000),
    "bomb/avif.avif": lambda: resized_header(WHOLE["photo.avif"](), b"ispe", 8, struct.pack(">II", 60_000, 60_000)),
    "bomb/j2k.j2k": lambda: j2k(60_000, 60_000),
    "bomb/j2k-blocks.j2k": lambda: j2k(10_900, 10_900, block=0),
    "bomb/j2k-precincts.j2k": lambda: j2k(2000, 2000, precincts=b"\0"),
    "bomb/j2k-levels.j2k": lambda: j2k(2000, 2000, precincts=b"\x88\x88\x11"),
    "bomb/j2k-tile.j2k": lambda: j2k(2000, 2000, precincts=b"\0", in_tile=True),
    "bomb/scans.jpg": lambda: jpeg_scans(10_900, 5000),
    "bomb/ppm.ppm": lambda: b"P6 90000 90000 255\n" + bytes(100),
    "bomb/plain.ppm": lambda: b"P3 90000 90000 255\n" + b"1 " * 100,
    "bomb/ppm-digits.ppm": lambda: b"P6 " + b"9" * 5000 + b" 1 255\n",
    "bomb/tga.tga": lambda: bytes([0, 0, 10, *[0] * 9]) + struct.pack("<HHBB", 65_000, 65_000, 24, 0) + bytes(20),
    "bomb/icon.ico": lambda: ico((48, 32, png_zeros(20_000, 20_000))),
    "bomb/icon-within-pillows-limit.ico": lambda: ico((48, 32, png_zeros(15_000, 15_900))),
    "bomb/icon-dib.ico": lambda: ico((48, 32, bmp(30_000, 60_000, b"\xff\0" * 500, depth=8, compression=1)[14:])),
    "no size/png.png": lambda: png(0, 0, 8, 2, b""),
    "no size/bmp.bmp": lambda: bmp(0, 5, bytes(100)),
    "no size/negative.bmp": lambda: bmp(-5, 5, bytes(100)),
    "no size/gif.gif": lambda: gif(0, 0, (0, 0, 0, 0)),
    "no size/ppm.ppm": lambda: b"P6 0 0 255\n",
    "no size/tiff.tif": lambda: tiff({256: 0, 257: 0, 273: 0, 279: 0}),
    "no size/jpeg.jpg": lambda: resized_header(WHOLE["photo.jpg"](), b"\xff\xc0", 5, struct.pack(">HH", 0, 0)),
    "damaged/checksum.png": lambda: with_png(png_chunk(b"gAMA", bytes(4), checksum=1)),
    "damaged/no-data.png": lambda: b"\x89PNG\r\n\x1a\n" + png_chunk(b"IEND", b""),
    "damaged/noise-data.png": lambda: png(48, 32, 8, 2, b"").replace(zlib.compress(b"", 9), noise(8, 4)),
    "damaged/depth.png": lambda: png(48, 32, 3, 2, bytes(10_000)),
    "damaged/no-scan.jpg": lambda: WHOLE["photo.jpg"]()[: WHOLE["photo.jpg"]().index(b"\xff\xda")] + b"\xff\xd9",
    "damaged/no-tables.jpg": lambda: b"\xff\xd8" + WHOLE["photo.jpg"]()[WHOLE["photo.jpg"]().index(b"\xff\xc0") :],
    "damaged/offset.tif": lambda: tiff({256: 48, 257: 32, 273: 2**31, 279: 1536}),
    "damaged/directory.tif": lambda: b"II*\0" + struct.pack("<IH", 8, 65_535) + noise(500, 5),
    "damaged/nowhere.tif": lambda: b"II*\0" + struct.pack("<I", 2**31),
    "damaged/tags.tif": lambda: tiff({256: 48, 257: 32, 258: 77, 277: 60_000, 273: 0, 279: 1536}, bytes(1536)),
    "rare grey/of-12-bits.tif": lambda: tiff({256: 4, 257: 1, 258: 12, 273: 0, 279: 6, 278: 1}, bytes(6)),
    "rare grey/inverted.tif": lambda: tiff({256: 2, 257: 1, 258: 16, 262: 0, 273: 0, 279: 4, 278: 1}, bytes(4)),
    "damaged/counts.tif": lambda: tiff({256: 48, 257: 32}) + noise(200, 6),
    "damaged/entries.ico": lambda: struct.pack("<HHH", 0, 1, 65_535) + noise(64, 7),
    "damaged/none.ico": lambda: struct.pack("<HHH", 0, 1, 0),
    "damaged/boxes.avif": lambda: b"\0\0\0\x1cftypavif" + noise(300, 8),
    "damaged/riff.webp": lambda: b"RIFF\xff\xff\xff\xffWEBPVP8 \xff\xff\xff\xff" + noise(300, 9),
    "damaged/boxes.jp2": lambda: WHOLE["photo.jp2"]()[:40] + noise(300, 10),
    "damaged/numbers.ppm": lambda: b"P6 forty 8 255\n" + bytes(300),
    "damaged/lzw.gif": lambda: gif(48, 32, (0, 0, 48, 32), b"\x0d\xff" + noise(255, 11) + b"\0"),
    "chunks/profile-bomb.png": lambda: with_png(png_chunk(b"iCCP", b"x\0\0" + zlib_zeros(300))),
    "chunks/text-bomb.png": lambda: with_png(png_chunk(b"zTXt", b"x\0\0" + zlib_zeros(300))),
    "chunks/many-texts.png": lambda: with_png(*[png_chunk(b"zTXt", b"x\0\0" + zlib_zeros(1)) for _ in range(90)]),
    "chunks/huge-length.png": lambda: with_png(struct.pack(">I", 2**31 - 1) + b"tEXt" + bytes(50)),
}


def recoloured(mode: str) -> Image.Image:
    return quad().convert(mode)


def palette(transparency: int | bytes | None = None) -> bytes:
    picture = quad().quantize(4)
    return encoded(picture, "PNG", **({} if transparency is None else {"transparency": transparency}))


def deep_rgb() -> bytes:
    rows = (np.asarray(quad()).astype(">u2") * 257).reshape(32, -1)
    return png(48, 32, 16, 2, b"".join(b"\0" + row.tobytes() for row in rows))


def interlaced() -> bytes:
    """Adam7: seven reduced pictures one after the other."""
    pixels, rows = np.asarray(quad()), b""
    passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    for y, x, down, right in passes:
        rows += b"".join(b"\0" + row.tobytes() for row in pixels[y::down, x::right])
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 48, 32, 8, 2, 0, 0, 1))
    return b"\x89PNG\r\n\x1a\n" + header + png_chunk(b"IDAT", zlib.compress(rows)) + png_chunk(b"IEND", b"")


def animated(format: str, **options: object) -> bytes:
    frames = [Image.new("RGB", (48, 32), (i * 9, 0, 99)) for i in range(11)]
    return encoded(quad(), format, save_all=True, append_images=frames, **options)


def loop(data: bytearray) -> bytes:
    """A TIFF whose list of pages comes back to its first page."""
    first = struct.unpack_from("<I", data, 4)[0]
    count = struct.unpack_from("<H", data, first)[0]
    struct.pack_into("<I", data, first + 2 + 12 * count, first)
    return bytes(data)


def texts(count: int) -> PngImagePlugin.PngInfo:
    info = PngImagePlugin.PngInfo()
    for index in range(count):
        info.add_text(f"key {index}", "x" * 1000)
    return info


ENTITIES = b'<!DOCTYPE a [<!ENTITY b "' + b"c" * 9000 + b'">]><a>' + b"&b;" * 9000 + b"</a>"

READ: dict[str, Maker] = {
    **{f"plain/{name}": maker for name, maker in WHOLE.items()},
    "misnamed/png.jpg": WHOLE["photo.png"],
    "misnamed/jpeg.png": WHOLE["photo.jpg"],
    "misnamed/webp.gif": WHOLE["photo.webp"],
    "misnamed/avif.jpg": WHOLE["photo.avif"],
    "mode/cmyk.jpg": lambda: encoded(recoloured("CMYK"), "JPEG", quality=95, subsampling=0),
    "mode/cmyk.tif": lambda: encoded(recoloured("CMYK"), "TIFF"),
    "mode/ycbcr.tif": lambda: encoded(recoloured("YCbCr"), "TIFF"),
    "mode/lab.tif": lambda: encoded(recoloured("LAB"), "TIFF"),
    "mode/rgba.png": lambda: encoded(recoloured("RGBA"), "PNG"),
    "mode/rgba.tif": lambda: encoded(recoloured("RGBA"), "TIFF"),
    "mode/rgba.webp": lambda: encoded(recoloured("RGBA"), "WEBP", lossless=True),
    "mode/palette.png": palette,
    "mode/palette-opaque-bytes.png": lambda: palette(b"\xff\xff\xff\xff"),
    "mode/palette.bmp": lambda: encoded(quad().quantize(4), "BMP"),
    "mode/deep-rgb.png": deep_rgb,
    "mode/interlaced.png": interlaced,
    "mode/top-down.bmp": lambda: bmp(48, -32, np.asarray(quad())[..., ::-1].tobytes()),
    "mode/plain.ppm": lambda: b"P3 48 32 255\n" + b" ".join(b"%d" % v for v in np.asarray(quad()).ravel()),
    "mode/comments.ppm": lambda: b"P6 # a remark\n48 32 255\n" + quad().tobytes(),
    "mode/deep.ppm": lambda: b"P6 48 32 65535\n" + (np.asarray(quad()).astype(">u2") * 257).tobytes(),
    "frames/gif.gif": lambda: animated("GIF"),
    "frames/webp.webp": lambda: animated("WEBP", lossless=True),
    "frames/apng.png": lambda: animated("PNG"),
    "frames/avif.avif": lambda: animated("AVIF", quality=95, subsampling="4:4:4"),
    "frames/pages.tif": lambda: animated("TIFF"),
    "frames/loop.tif": lambda: loop(bytearray(WHOLE["photo.tif"]())),
    "frames/two-icons.ico": lambda: ico((48, 32, WHOLE["photo.png"]()), (16, 16, png_zeros(16, 16))),
    "frames/lying-icon.ico": lambda: ico((16, 16, WHOLE["photo.png"]())),
    "profile/srgb.jpg": lambda: encoded(quad(), "JPEG", quality=95, icc_profile=srgb()),
    "profile/noise.jpg": lambda: encoded(quad(), "JPEG", quality=95, icc_profile=noise(3000, 12)),
    "profile/empty.png": lambda: encoded(quad(), "PNG", icc_profile=b"\0"),
    "profile/cut.jpg": lambda: encoded(quad(), "JPEG", quality=95, icc_profile=rgb_profile()[:400]),
    "profile/of-grey.jpg": lambda: encoded(quad(), "JPEG", quality=95, icc_profile=profile(b"GRAY", {})),
    "profile/no-tags.png": lambda: encoded(quad(), "PNG", icc_profile=profile(b"RGB ", {})),
    "profile/huge.jpg": lambda: encoded(quad(), "JPEG", quality=95, icc_profile=srgb() + bytes(10_000_000)),
    "metadata/noise-exif.jpg": lambda: with_jpeg((0xE1, b"Exif\0\0" + noise(5000, 13))),
    "metadata/empty-exif.jpg": lambda: with_jpeg((0xE1, b"Exif\0\0")),
    "metadata/exif-loop.jpg": lambda: with_jpeg((0xE1, b"Exif\0\0" + tiff({0x8769: 8}, next_ifd=8))),
    "metadata/orientation-99.jpg": lambda: encoded(quad(), "JPEG", quality=95, exif=exif(Orientation=99)),
    "metadata/huge-exif.jpg": lambda: encoded(quad(), "JPEG", quality=95, exif=exif(ImageDescription="x" * 60_000)),
    "metadata/full-of-segments.jpg": lambda: with_jpeg(*[(0xEA, noise(60_000, i)) for i in range(50)]),
    "metadata/texts.png": lambda: encoded(quad(), "PNG", pnginfo=texts(500)),
    "metadata/xmp.png": lambda: with_png(png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0<x:xmpmeta" + b"<a" * 50_000)),
    "metadata/entities.jpg": lambda: with_jpeg((0xE1, b"http://ns.adobe.com/xap/1.0/\0" + ENTITIES)),
    "metadata/trailing-noise.jpg": lambda: WHOLE["photo.jpg"]() + noise(50_000, 14),
    "metadata/leading-restart.jpg": lambda: with_jpeg((0xFE, b"a remark\0\xff\xd8\xff")),
}


NAMES = [
    b"with two spaces.png",
    b"newline\nin it.png",
    b"tab\tand\rreturn.png",
    b"-leading-dash.png",
    b"--help.png",
    "Unicode Käthe 日本 \N{ARTIST PALETTE}.png".encode(),
    "right\N{RIGHT-TO-LEFT OVERRIDE}gnp.left.png".encode(),
    b"not utf-8 \xff\xfe\xe9.png",
    b"escape \x1b[31m red.png",
    b"quote ' and \" and ` and $(touch x).png",
    b"percent %s %n {braces}.png",
    b"star * and [brackets].png",
    b"l" * 250 + b".png",
    b"UPPER.PNG",
]


def build(folder: Path, makers: dict[str, Maker]) -> list[Path]:
    """Write what `makers` make under `folder`, a folder for each class; return the paths in order."""
    paths = [folder / name for name in makers]
    for path, make in zip(paths, makers.values(), strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(make())
    return paths


def odd_files(folder: Path) -> list[Path]:
    """What is no regular file: a folder, a FIFO, links that lead nowhere or round in a circle, a device."""
    folder.mkdir(parents=True)
    (folder / "folder.jpg").mkdir()
    os.mkfifo(folder / "fifo.jpg")
    (folder / "dangling.jpg").symlink_to("nowhere")
    (folder / "circle.jpg").symlink_to("circle.jpg")
    (folder / "device.jpg").symlink_to("/dev/zero")
    return sorted(folder.iterdir())
