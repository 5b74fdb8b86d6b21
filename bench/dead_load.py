#!/usr/bin/env python3
"""Requests for content that nobody has, at a fixed rate; or something that never answers.

    dead_load.py PORT RATE SECONDS PATIENCE     asks; prints what came as JSON
    dead_load.py --silent PORT                  takes connections and says nothing

Half of the CIDs are new ones, half are of a thousand that are asked for again and again. Every
client gives up after PATIENCE seconds.
"""

import asyncio
import base64
import collections
import json
import os
import random
import sys

KNOWN = 1000


def cid(digest: bytes) -> str:
    text = base64.b32encode(bytes([1, 0x55, 0x12, 32]) + digest).decode()
    return "b" + text.lower().rstrip("=")


async def ask(port: int, path: str, patience: float, seen: collections.Counter) -> None:
    writer = None
    try:
        async with asyncio.timeout(patience):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            head = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
            writer.write(head.encode())
            line = await reader.readline()
            seen[line.split()[1].decode() if line else "closed"] += 1
    except TimeoutError:
        seen["left"] += 1
    except OSError as error:
        seen[type(error).__name__] += 1
    finally:
        if writer is not None:
            writer.close()


async def load(port: int, rate: int, seconds: float, patience: float) -> None:
    loop = asyncio.get_running_loop()
    known = [cid(random.Random(number).randbytes(32)) for number in range(KNOWN)]
    seen: collections.Counter = collections.Counter()
    tasks: set[asyncio.Task] = set()
    began = loop.time()
    for number in range(int(rate * seconds)):
        await asyncio.sleep(max(0, began + number / rate - loop.time()))
        name = cid(os.urandom(32)) if number % 2 else random.choice(known)
        task = asyncio.create_task(ask(port, f"/ipfs/{name}", patience, seen))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    # Those that still wait go, as clients do.
    for task in list(tasks):
        task.cancel()
    seen["waiting"] = len(tasks)
    await asyncio.gather(*tasks, return_exceptions=True)
    print(json.dumps(seen))


async def be_silent(port: int) -> None:
    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(4096):
            pass
        writer.close()

    async with await asyncio.start_server(hold, "127.0.0.1", port, backlog=4096) as server:
        await server.serve_forever()


if __name__ == "__main__":
    if sys.argv[1] == "--silent":
        asyncio.run(be_silent(int(sys.argv[2])))
    else:
        numbers = [float(text) for text in sys.argv[1:5]]
        asyncio.run(load(int(numbers[0]), int(numbers[1]), *numbers[2:]))
