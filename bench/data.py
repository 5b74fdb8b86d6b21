#!/usr/bin/env python3
"""The bench's test set: objects with deterministic bytes, as CAR files and as plain bodies.

    bench/data.py [--quick] FOLDER

FOLDER gets
    car/GROUP.N.car     CAR v1; the origin serves these
    plain/ipfs/CID      each object's bytes; the floor and the stand-in origin serve these
    lists/GROUP.txt     a URL path a line
    manifest.json       written after each group: what was made, and that it is whole

Objects up to 1 MiB that are to be hits are single raw blocks. Larger ones are UnixFS files as
`ipfs add --cid-version=1` made them for years: raw leaves of 256 KiB under balanced dag-pb nodes
of at most 174 links. The 16 KiB misses are such files with leaves of 4 KiB, and raw blocks. The
full set has 3.2 GiB of content, on disk twice.
"""

import argparse
import base64
import hashlib
import json
import random
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

KIB, MIB = 1 << 10, 1 << 20
CHUNK = 256 * KIB
WIDTH = 174  # links a node, the default of Kubo's balanced layout
OBJECTS_A_CAR = 1000  # every object is a root, and readers bound the size of a CAR's header
VERSION = 2  # goes up when the same settings would give other bytes

RAW, DAG_PB = 0x55, 0x70


@dataclass(frozen=True)
class Group:
    name: str
    count: int
    size: int
    leaf: int  # bytes of a leaf under dag-pb nodes; 0 for one raw block


def groups(quick: bool) -> list[Group]:
    """The groups of objects, one for each of the bench's lines.

    Misses are asked for in a circle, which is so much larger than a cache that nothing of it is
    still there when its turn comes again (see MISS_CACHE in servers.py).
    """
    few = (500, 200, 100, 20)
    many = (10_000, 2_000, 2_000, 200)
    small, medium, large, huge = few if quick else many
    return [
        Group("hit-1k", small, KIB, 0),
        Group("hit-16k", medium, 16 * KIB, 0),
        Group("hit-64k", large, 64 * KIB, 0),
        Group("hit-1m", huge, MIB, 0),
        Group("range-64k", 1, 64 * MIB, CHUNK),
        Group("miss-16k", 60_000, 16 * KIB, 4 * KIB),
        Group("miss-16k-raw", 60_000, 16 * KIB, 0),
        Group("miss-8m", 200, 8 * MIB, CHUNK),
    ]


# -- IPLD ------------------------------------------------------------------------------------------


def varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def cid_of(codec: int, block: bytes) -> bytes:
    """A CIDv1 with sha2-256, in bytes."""
    return bytes([1, codec, 0x12, 32]) + hashlib.sha256(block).digest()


def text(cid: bytes) -> str:
    return "b" + base64.b32encode(cid).decode().lower().rstrip("=")


def field(number: int, value: int | bytes) -> bytes:
    """A protobuf field: a varint, or bytes with their length."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def unixfs(size: int, block_sizes: tuple[int, ...]) -> bytes:
    """The UnixFS message of a file node over others."""
    out = field(1, 2) + field(3, size)
    return out + b"".join(field(4, size) for size in block_sizes)


@dataclass(frozen=True)
class Node:
    """One block of a DAG with what its parent writes about it."""

    cid: bytes
    size: int  # bytes of the file below it
    total: int  # bytes of all blocks below it and of itself ("Tsize")
    block: bytes


def leaf(data: bytes) -> Node:
    return Node(cid_of(RAW, data), len(data), len(data), data)


def parent(children: list[Node]) -> Node:
    size = sum(child.size for child in children)
    # dag-pb writes its links before its data, and each link's name although it is empty.
    block = b"".join(
        field(2, field(1, child.cid) + field(2, b"") + field(3, child.total)) for child in children
    )
    block += field(1, unixfs(size, tuple(child.size for child in children)))
    return Node(cid_of(DAG_PB, block), size, len(block) + sum(c.total for c in children), block)


def tree(data: bytes, chunk: int) -> list[Node]:
    """The blocks of a balanced file, its root first."""
    level = [leaf(data[at : at + chunk]) for at in range(0, len(data), chunk)]
    levels = [level]
    while len(level) > 1:
        level = [parent(level[at : at + WIDTH]) for at in range(0, len(level), WIDTH)]
        levels.append(level)
    return [node for level in reversed(levels) for node in level]


def blocks(group: Group, number: int) -> tuple[bytes, list[Node]]:
    """An object's bytes and its blocks, the root first."""
    data = random.Random(f"sluice/{group.name}/{number}").randbytes(group.size)
    return data, tree(data, group.leaf) if group.leaf else [leaf(data)]


def cbor_head(major: int, number: int) -> bytes:
    if number < 24:
        return bytes([major << 5 | number])
    length = 1 if number < 1 << 8 else 2 if number < 1 << 16 else 4
    return bytes([major << 5 | 23 + length.bit_length()]) + number.to_bytes(length, "big")


def car_header(roots: list[bytes]) -> bytes:
    out = cbor_head(5, 2) + cbor_head(3, 5) + b"roots" + cbor_head(4, len(roots))
    for root in roots:
        out += cbor_head(6, 42) + cbor_head(2, len(root) + 1) + b"\0" + root
    out += cbor_head(3, 7) + b"version" + cbor_head(0, 1)
    return varint(len(out)) + out


# -- Files -----------------------------------------------------------------------------------------


def write_group(folder: Path, group: Group) -> None:
    urls: list[str] = []
    for old in (folder / "car").glob(f"{group.name}.*.car"):
        old.unlink()
    for first in range(0, group.count, OBJECTS_A_CAR):
        numbers = range(first, min(first + OBJECTS_A_CAR, group.count))
        roots: list[bytes] = []
        body = folder / "car" / "body"  # the header names the roots, so it is known last
        with body.open("wb") as out:
            for number in numbers:
                data, nodes = blocks(group, number)
                roots.append(nodes[0].cid)
                name = text(nodes[0].cid)
                (folder / "plain" / "ipfs" / name).write_bytes(data)
                urls.append(f"/ipfs/{name}\n")
                for node in nodes:
                    out.write(varint(len(node.cid) + len(node.block)) + node.cid + node.block)
        car = folder / "car" / f"{group.name}.{first // OBJECTS_A_CAR}.car"
        with body.open("rb") as source, car.open("wb") as out:
            out.write(car_header(roots))
            shutil.copyfileobj(source, out, MIB)
        body.unlink()
    (folder / "lists" / f"{group.name}.txt").write_text("".join(urls))


def prepare(folder: Path, wanted: list[Group], say=lambda text: None) -> None:
    """Makes what is not there already of these groups."""
    stamp = folder / "manifest.json"
    made = json.loads(stamp.read_text()) if stamp.exists() else {}
    if made.get("version") != VERSION:
        shutil.rmtree(folder, ignore_errors=True)
        made = {"version": VERSION}
    for name in ("car", "plain/ipfs", "lists"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for group in wanted:
        if made.get(group.name) == asdict(group):
            continue
        say(f"data: {group.name}, {group.count} objects of {group.size} bytes")
        write_group(folder, group)
        made[group.name] = asdict(group)
        stamp.write_text(json.dumps(made))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Makes the bench's test set.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--quick", action="store_true", help="fewer objects to be hits")
    arguments = parser.parse_args()
    prepare(arguments.folder, groups(arguments.quick), print)
