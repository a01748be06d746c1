"""aiohttp; and plain asyncio for pipelining, which aiohttp does not support."""

import asyncio
import sys
from urllib.parse import urlsplit

from answers import ANSWERS, ECHO, HELLO, INDEX, NOT_ALLOWED, ROUTE, TOO_LONG, UPLOADS, answered, equal, pieces

try:
    import aiohttp
except ImportError:
    sys.exit(77)


async def one_after_the_other(session, opened):
    for asked in ANSWERS * 2:
        method, target, *_ = asked
        async with session.request(method, HELLO + target) as response:
            answered(asked, response.status, response.reason, response.headers, await response.read())
    equal("connections for the table", len(opened), 1)


async def many_at_once(session):
    async def get():
        async with session.get(HELLO + "/route") as response:
            equal("one of many at once", [response.status, await response.read()], [200, ROUTE])

    await asyncio.gather(*(get() for _ in range(500)))


async def uploads(session):
    async def generated(body):
        for piece in pieces(body):
            yield piece

    for body in UPLOADS:
        for sent, expect, how in [
            (body, False, "with a length"),
            (generated(body), False, "in chunks"),
            (body, True, "with a length, expect: 100-continue"),
            (generated(body), True, "in chunks, expect: 100-continue"),
        ]:
            async with session.post(ECHO, data=sent, expect100=expect) as response:
                equal(f"{len(body)} bytes {how}", await response.read(), body)
    # The server does not read the whole body, and yet its answer has to arrive.
    async with session.post(ECHO, data=TOO_LONG) as response:
        equal("too long a body", response.status, 413)


async def pipelined():
    address = urlsplit(HELLO)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)

    async def answer():
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
        fields = dict(line.split(": ", 1) for line in head[1:-2])
        return [head[0].split(" ")[1], await reader.readexactly(int(fields["content-length"]))]

    chunked = b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nGET /\r\n0\r\n\r\n"
    round_of_three = [
        (b"GET / HTTP/1.1\r\nhost: a\r\n\r\n", ["200", INDEX]),
        (chunked, ["405", NOT_ALLOWED]),
        (b"GET /route HTTP/1.1\r\nhost: a\r\n\r\n", ["200", ROUTE]),
    ] * 100
    writer.write(b"".join(request for request, _ in round_of_three))
    for number, (_, expected) in enumerate(round_of_three):
        equal(f"answer {number} of those sent at once", await answer(), expected)
    writer.close()


async def main():
    opened = []

    async def on_opened(_session, _context, _parameters):
        opened.append(1)

    trace = aiohttp.TraceConfig()
    trace.on_connection_create_end.append(on_opened)
    async with aiohttp.ClientSession(trace_configs=[trace]) as session:
        await one_after_the_other(session, opened)
        await uploads(session)
        await many_at_once(session)
    await pipelined()


print("aiohttp", aiohttp.__version__)
asyncio.run(asyncio.wait_for(main(), 50))
