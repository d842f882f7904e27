"""Writes small files that cost a decoder without limits gigabytes or minutes; no large file is kept anywhere.

``python tests/hostile_media.py FOLDER`` writes them all. Each is built from its format's own rules, so that it is what
its header says until somebody decodes it.
"""

import io
import struct
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

from PIL import Image


def box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I", 8 + len(body)) + kind + body


def full(kind: bytes, *parts: bytes, flags: int = 0) -> bytes:
    return box(kind, struct.pack(">I", flags), *parts)


# MP4: sample tables


def _track(number: int, samples: int, seconds: int, kind: bytes = b"vide", shifts: bool = False) -> bytes:
    duration = seconds * 1000
    matrix = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
    tkhd = full(
        b"tkhd", struct.pack(">IIIII", 0, 0, number, 0, duration), bytes(16), matrix, struct.pack(">II", 320 << 16, 240 << 16), flags=7
    )  # fmt: skip
    mdhd = full(b"mdhd", struct.pack(">IIIIHH", 0, 0, 1000, duration, 0x55C4, 0))
    hdlr = full(b"hdlr", bytes(4), kind, bytes(12), b"x\0")
    if kind == b"vide":
        head = full(b"vmhd", bytes(8), flags=1)
        avcc = box(b"avcC", bytes.fromhex("0142c01effe1001967 42c01eda02802dc8".replace(" ", "")), bytes(12))
        entry = box(
            b"avc1", bytes(6), struct.pack(">H", 1), bytes(16), struct.pack(">HH", 320, 240), bytes(14), bytes(32), struct.pack(">Hh", 24, -1), avcc
        )  # fmt: skip
    else:
        head = full(b"smhd", bytes(4))
        entry = box(
            b"sowt",
            bytes(6),
            struct.pack(">H", 1),
            bytes(8),
            struct.pack(">HHI", 1, 16, 0),
            struct.pack(">I", 8000 << 16),
        )
    stsd = full(b"stsd", struct.pack(">I", 1), entry)
    stts = full(b"stts", struct.pack(">III", 1, samples, max(1, duration // max(1, samples))))
    stsc = full(b"stsc", struct.pack(">IIII", 1, 1, samples, 1))
    stsz = full(b"stsz", struct.pack(">II", 1, samples))
    stco = full(b"stco", struct.pack(">II", 1, 48))
    ctts = full(b"ctts", struct.pack(">III", 1, samples, 1)) if shifts else b""
    stbl = box(b"stbl", stsd, stts, ctts, stsc, stsz, stco)
    dinf = box(b"dinf", full(b"dref", struct.pack(">I", 1), full(b"url ", flags=1)))
    return box(b"trak", tkhd, box(b"mdia", mdhd, hdlr, box(b"minf", head, dinf, stbl)))


def mp4(
    tracks: int = 1,
    samples: int = 1,
    seconds: int = 4,
    kind: bytes = b"vide",
    brand: bytes = b"isom",
    *,
    shifts: bool = False,
    fragments: int = 0,
) -> bytes:
    """An MP4 whose tables say that it has so many tracks and samples of one byte.

    ``shifts`` gives each sample an offset of its time, so that a second table grows with them. With ``fragments`` the samples
    are not in the header: each of so many fragments says that it has them.
    """
    mvhd = full(
        b"mvhd",
        struct.pack(">IIII", 0, 0, 1000, seconds * 1000),
        struct.pack(">IH", 0x10000, 0x100),
        bytes(10 + 36 + 24),
        struct.pack(">I", tracks + 1),
    )
    held = 0 if fragments else samples
    every = b"".join(_track(number + 1, held, seconds, kind, shifts) for number in range(tracks))
    extends = box(b"mvex", full(b"trex", struct.pack(">IIIII", 1, 1, 1, 1, 0))) if fragments else b""
    start = box(b"ftyp", brand, struct.pack(">I", 512), brand) + box(b"mdat", bytes(64))
    return start + box(b"moov", mvhd, every, extends) + b"".join(_fragment(each, samples) for each in range(fragments))


def _fragment(number: int, samples: int) -> bytes:
    """A fragment of so many samples of one byte that says nothing of any single one."""
    header = full(b"tfhd", struct.pack(">I", 1), flags=0x20000)
    run = full(b"trun", struct.pack(">I", samples))
    return box(b"moof", full(b"mfhd", struct.pack(">I", number + 1)), box(b"traf", header, run)) + box(
        b"mdat", bytes(8)
    )


# JPEG: scans


def scan_bomb(width: int, height: int, scans: int) -> bytes:
    """A progressive JPEG whose last scan is repeated: each makes a decoder go over the whole picture."""
    out = io.BytesIO()
    Image.new("L", (width, height), 128).save(out, "JPEG", progressive=True, quality=50)
    data = out.getvalue()
    last = data.rfind(b"\xff\xda")
    scan = data[last:-2]
    return data[:last] + scan * scans + b"\xff\xd9"


# PNG


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _deflated(size: int) -> bytes:
    """So many zero bytes, compressed piece by piece."""
    packer = zlib.compressobj(9)
    parts = [packer.compress(bytes(1_000_000)) for _ in range(size // 1_000_000)]
    return b"".join([*parts, packer.compress(bytes(size % 1_000_000)), packer.flush()])


def png(width: int, height: int, depth: int, colour: int, *extra: bytes, frames: int = 0, body: bool = True) -> bytes:
    """A PNG of zeros; ``extra`` are chunks before its picture, ``frames`` make it an animation."""
    samples = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    row = 1 + (width * samples * depth + 7) // 8
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    animation = chunk(b"acTL", struct.pack(">II", frames, 0)) if frames else b""
    control = chunk(b"fcTL", struct.pack(">IIIIIHHBB", 0, width, height, 0, 0, 1, 10, 0, 0)) if frames else b""
    palette = chunk(b"PLTE", bytes(range(256)) * 3) if colour == 3 else b""
    data = chunk(b"IDAT", _deflated(row * height) if body else zlib.compress(b"\0"))
    return b"\x89PNG\r\n\x1a\n" + head + animation + b"".join(extra) + palette + control + data + chunk(b"IEND", b"")


def text_bomb(kind: bytes, size: int) -> bytes:
    bodies = {
        b"zTXt": b"k\0\0",
        b"iTXt": b"k\0\1\0\0\0",
        b"iCCP": b"k\0\0",
    }
    return chunk(kind, bodies[kind] + _deflated(size))


# Others


def gif(width: int, height: int, frames: int) -> bytes:
    head = b"GIF89a" + struct.pack("<HH", width, height) + b"\x80\0\0" + bytes(3) + b"\xff" * 3
    frame = b"\x21\xf9\4\0\1\0\0\0" + b"\x2c" + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\2\2\x44\1\0"
    return head + frame * frames + b"\x3b"


def bmp(width: int, height: int, bits: int = 24) -> bytes:
    return (
        b"BM"
        + struct.pack("<IHHI", 54, 0, 0, 54)
        + struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, 0, 0, 0, 0, 0, 0)
    )


def tiff(width: int, height: int, bits: int = 16, samples: int = 3, *, loop: bool = False) -> bytes:
    entries = [
        (256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, bits), (259, 3, 1, 8), (262, 3, 1, 2 if samples == 3 else 1),
        (273, 4, 1, 200), (277, 3, 1, samples), (278, 4, 1, height), (279, 4, 1, 100),
    ]  # fmt: skip
    packed = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    body = (
        b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", len(entries)) + packed + struct.pack("<I", 8 if loop else 0)
    )
    return body.ljust(200, b"\0") + _deflated(2_000_000)


def jpeg2000(width: int, height: int) -> bytes:
    """A codestream of a uniform picture, as the encoder writes it, with a larger size in its header."""
    out = io.BytesIO()
    Image.new("RGB", (64, 64)).save(out, "JPEG2000", no_jp2=True)
    data = bytearray(out.getvalue())
    at = data.find(b"\xff\x51")
    struct.pack_into(">II", data, at + 6, width, height)
    struct.pack_into(">II", data, at + 22, width, height)
    return bytes(data)


def webp(width: int, height: int, frames: int) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (16, 16)).save(out, "WEBP", lossless=True)
    still = out.getvalue()[12:]
    anmf = (
        struct.pack("<I", 0)[:3] * 2
        + struct.pack("<I", width - 1)[:3]
        + struct.pack("<I", height - 1)[:3]
        + b"\x64\0\0\0"
    )
    frame = b"ANMF" + struct.pack("<I", len(anmf) + len(still)) + anmf + still
    vp8x = (
        b"VP8X"
        + struct.pack("<I", 10)
        + b"\2\0\0\0"
        + struct.pack("<I", width - 1)[:3]
        + struct.pack("<I", height - 1)[:3]
    )
    body = b"WEBP" + vp8x + b"ANIM" + struct.pack("<I", 6) + bytes(6) + frame * frames
    return b"RIFF" + struct.pack("<I", len(body)) + body


def heif(width: int, height: int, kind: str = "HEIF") -> bytes:
    """A photo whose header (`ispe`) says another size than its picture has."""
    import pillow_heif

    pillow_heif.register_heif_opener()
    out = io.BytesIO()
    Image.new("RGB", (64, 64), (9, 99, 199)).save(out, kind)
    return out.getvalue().replace(struct.pack(">II", 64, 64), struct.pack(">II", width, height))


def pnm(width: int, height: int) -> bytes:
    return b"P6 %d %d 255\n" % (width, height)


def ogg_hours() -> bytes:
    """A WAV header of ten hours over one second of sound."""
    size = 8000 * 2 * 36_000
    return (
        b"RIFF"
        + struct.pack("<I", 36 + size)
        + b"WAVEfmt "
        + struct.pack("<IHHIIHH", 16, 1, 1, 8000, 16000, 2, 16)
        + b"data"
        + struct.pack("<I", size)
        + bytes(100)
    )


BUILDERS: dict[str, Callable[[], bytes]] = {
    # Sample tables: a few kilobytes that an index turns into gigabytes.
    **{f"samples-{count >> 20}M.mp4": lambda count=count: mp4(samples=count) for count in (1 << 26, 1 << 27, 1 << 28, 1 << 29)},
    **{f"samples-{count >> 20}M.mov": lambda count=count: mp4(samples=count, brand=b"qt  ") for count in (1 << 27, 1 << 28)},
    "voice-samples.mp4": lambda: mp4(samples=1 << 28, kind=b"soun"),
    "voice-samples.m4a": lambda: mp4(samples=1 << 27, kind=b"soun"),
    "samples-8-tracks.mp4": lambda: mp4(tracks=8, samples=1 << 25),
    "samples-shifted.mp4": lambda: mp4(samples=30_000_000, shifts=True),
    "samples-in-fragments.mp4": lambda: mp4(samples=15_000_000, fragments=6),
    # Tracks.
    **{f"tracks-{count}.mp4": lambda count=count: mp4(tracks=count) for count in (2_000, 8_000)},
    "tracks-sound.mp4": lambda: mp4(tracks=4_000, kind=b"soun"),
    # Ten hours.
    "hours.mp4": lambda: mp4(seconds=36_000, samples=4),
    "hours-samples.mp4": lambda: mp4(seconds=36_000, samples=36_000 * 60),
    "hours.mov": lambda: mp4(seconds=36_000, samples=4, brand=b"qt  "),
    # Scans.
    **{f"scans-{count}.jpg": lambda count=count: scan_bomb(4000, 4000, count) for count in (2_000, 10_000)},
    "scans-wide.jpg": lambda: scan_bomb(8000, 2000, 4_000),
    "scans-many.jpeg": lambda: scan_bomb(2000, 2000, 40_000),
    "scans-as-png.png": lambda: scan_bomb(4000, 4000, 8_000),
    # Giants of each colour type, and of 16 bits.
    "giant-palette.png": lambda: png(20_000, 20_000, 8, 3),
    "giant-1bit.png": lambda: png(60_000, 60_000, 1, 0, body=False),
    "giant-grey16.png": lambda: png(16_000, 16_000, 16, 0, body=False),
    "giant-rgb16.png": lambda: png(9_000, 9_000, 16, 2, body=False),
    "giant-rgba16.png": lambda: png(30_000, 30_000, 16, 6, body=False),
    "giant-header.png": lambda: png(2**31 - 1, 2**31 - 1, 8, 2, body=False),
    "giant-row.png": lambda: png(2**30, 1, 8, 2, body=False),
    "giant.bmp": lambda: bmp(50_000, 50_000),
    "giant-1bit.bmp": lambda: bmp(200_000, 200_000, 1),
    "giant-bmp-as.jpg": lambda: bmp(40_000, 40_000),
    "giant.gif": lambda: gif(65_535, 65_535, 1),
    "giant-pnm.png": lambda: pnm(100_000, 100_000),
    # JPEG 2000 and TIFF, also under other names.
    "giant-j2k.jpg": lambda: jpeg2000(60_000, 60_000),
    "giant-j2k.png": lambda: jpeg2000(9_000, 9_000),
    "giant-j2k.webp": lambda: jpeg2000(2**31 - 2, 2**20),
    "giant.tif": lambda: tiff(60_000, 60_000),
    "giant-tiff-as.jpg": lambda: tiff(30_000, 30_000),
    "giant-tiff-grey.png": lambda: tiff(100_000, 100_000, 16, 1),
    "tiff-rows.tiff": lambda: tiff(9_000, 9_000, 32, 1),
    "tiff-loop.tif": lambda: tiff(40_000, 40_000, loop=True),
    # Animations.
    "animated.gif": lambda: gif(30_000, 30_000, 500),
    "animated-long.gif": lambda: gif(8_001, 8_001, 20_000),
    "animated.png": lambda: png(20_000, 20_000, 8, 2, frames=5_000, body=False),
    "animated.webp": lambda: webp(16_000, 16_000, 3_000),
    "animated-as.jpg": lambda: webp(9_000, 9_000, 1_000),
    # Phones' formats.
    "giant.heic": lambda: heif(32_000, 32_000),
    "giant-heic-as.jpg": lambda: heif(20_000, 20_000),
    "giant.avif": lambda: heif(30_000, 30_000, "AVIF"),
    # Compressed text and profiles in a giant.
    **{f"text-{kind.decode()}.png": lambda kind=kind: png(20_000, 20_000, 8, 2, text_bomb(kind, 400_000_000), body=False) for kind in (b"zTXt", b"iTXt", b"iCCP")},
    "text-many.png": lambda: png(16_000, 16_000, 8, 2, *[text_bomb(b"zTXt", 900_000)] * 300, body=False),
    # Sound.
    "hours-torn.wav": ogg_hours,
}  # fmt: skip


def write_all(folder: Path) -> Iterator[Path]:
    """Write every file into a folder and yield its path."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, build in BUILDERS.items():
        path = folder / name
        path.write_bytes(build())
        yield path


if __name__ == "__main__":
    for written in write_all(Path(sys.argv[1])):
        print(f"{written.stat().st_size:>10,}  {written.name}")
