"""Blanks the GPU programs of a library that are not for one architecture, so that the library packs well.

usage: keep_kernels.py LIBRARY SM     (SM such as 90; the library is changed)

The library's size and layout stay: each program is found by the headers of the .nv_fatbin section, and the bytes of those
for other architectures become zero. The driver loads the one that fits the GPU.
"""

import struct
import sys

MAGIC = 0xBA55ED50


def sections(data: bytes):
    """Names, offsets and sizes of an ELF file's sections."""
    (table,) = struct.unpack_from("<Q", data, 0x28)
    size, count, names = struct.unpack_from("<HHH", data, 0x3A)
    headers = [struct.unpack_from("<IIQQQQ", data, table + i * size) for i in range(count)]
    strings = headers[names][4]
    for name, _, _, _, offset, length in headers:
        start = strings + name
        yield data[start : data.index(0, start)].decode(), offset, length


def programs(data: bytes, offset: int, length: int):
    """Where each program of a section of fat binaries lies: its architecture, and the offset and size of its bytes."""
    at, end = offset, offset + length
    while at < end - 16:
        magic, _, header, size = struct.unpack_from("<IHHQ", data, at)
        if magic != MAGIC:
            at += 8
            continue
        inner, last = at + header, at + header + size
        while inner < last:
            _, _, own_header, own_size = struct.unpack_from("<HHIQ", data, inner)
            (architecture,) = struct.unpack_from("<I", data, inner + 28)
            yield architecture, inner + own_header, own_size
            inner += own_header + own_size
        at = (last + 7) & ~7


def main() -> None:
    path, architecture = sys.argv[1], int(sys.argv[2])
    with open(path, "rb") as file:
        data = bytearray(file.read())
    kept = blanked = 0
    for name, offset, length in list(sections(data)):
        if name != ".nv_fatbin":
            continue
        for found, at, size in list(programs(data, offset, length)):
            if found == architecture:
                kept += 1
                continue
            data[at : at + size] = bytes(size)
            blanked += 1
    if kept == 0:
        sys.exit(f"{path} has no programs for sm_{architecture}.")
    with open(path, "wb") as file:
        file.write(data)
    print(f"kept {kept} programs for sm_{architecture} and blanked {blanked}")


if __name__ == "__main__":
    main()
