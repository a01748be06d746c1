"""httplint, by the author of REDbot, checks responses of handlers and of the host itself."""

import os
import select
import socket
import struct
import sys
import time
from collections import defaultdict
from urllib.parse import urlsplit

from answers import ECHO, HELLO, equal

try:
    from httplint import HttpRequestLinter, HttpResponseLinter, __version__, levels
except ImportError:
    sys.exit(77)

LONG = "a" * 20_000
HOST = "host: a\r\n"

# Server, request head without the empty line at its end; status.
RESPONSES = [
    (HELLO, f"GET / HTTP/1.1\r\n{HOST}", 200),
    (HELLO, f"GET /route HTTP/1.1\r\n{HOST}", 200),
    (HELLO, "GET /route HTTP/1.0\r\n", 200),
    (HELLO, f"HEAD / HTTP/1.1\r\n{HOST}", 200),
    (ECHO, f"GET / HTTP/1.1\r\n{HOST}", 200),
    (HELLO, f"OPTIONS / HTTP/1.1\r\n{HOST}", 204),
    (HELLO, f"OPTIONS * HTTP/1.1\r\n{HOST}", 204),
    (HELLO, "GET / HTTP/1.1\r\n", 400),
    (HELLO, f"GET\r\n{HOST}", 400),
    (HELLO, f"GET /nope HTTP/1.1\r\n{HOST}", 404),
    (HELLO, f"HEAD /nope HTTP/1.1\r\n{HOST}", 404),
    (HELLO, f"POST / HTTP/1.1\r\n{HOST}content-length: 0\r\n", 405),
    (os.environ["IMPATIENT"], f"POST / HTTP/1.1\r\n{HOST}content-length: 1\r\n", 408),
    (HELLO, f"POST / HTTP/1.1\r\n{HOST}content-length: 9999999\r\n", 413),
    (HELLO, f"GET /{'a' * 9_000} HTTP/1.1\r\n{HOST}", 414),
    (HELLO, f"GET / HTTP/1.1\r\n{HOST}expect: a miracle\r\n", 417),
    (HELLO, f"GET / HTTP/1.1\r\n{HOST}a: {LONG}\r\n", 431),
    (os.environ["TRAPS"], f"GET / HTTP/1.1\r\n{HOST}", 500),
    (os.environ["TRAPS"], f"HEAD / HTTP/1.1\r\n{HOST}", 500),
    (HELLO, f"POST / HTTP/1.1\r\n{HOST}transfer-encoding: gzip, chunked\r\n", 501),
    (os.environ["WRONG"], f"GET / HTTP/1.1\r\n{HOST}", 502),
    (os.environ["BUSY"], f"GET / HTTP/1.1\r\n{HOST}", 503),
    (os.environ["LOOPS"], f"GET / HTTP/1.1\r\n{HOST}", 504),
]


def connect(url):
    address = urlsplit(url)
    return socket.create_connection((address.hostname, address.port), timeout=30)


def to_its_end(connection):
    got = b""
    while more := connection.recv(65536):
        got += more
    return got


def ask(url, head):
    with connect(url) as connection:
        connection.sendall(f"{head}connection: close\r\n\r\n".encode())
        return to_its_end(connection)


def ask_too_often(url, head):
    """Makes three endless calls on a server with one instance and one place in its queue.

    Returns the response to the call that is refused.
    """
    connections = [connect(url) for _ in range(3)]
    for connection in connections:
        connection.sendall(f"{head}connection: close\r\n\r\n".encode())
    [refused], _, _ = select.select(connections, [], [], 30)
    got = to_its_end(refused)
    for connection in connections:
        # A reset, unlike a close, frees the instance at once.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
    return got


def lint(head, got, status, start):
    """Returns httplint's notes on a response, by itself and as the answer to its request."""
    what = f"{head[:40]!r}"
    top, *lines = head.splitlines()
    method, _, rest = top.partition(" ")
    request = HttpRequestLinter()
    request.process_request_topline(method.encode(), rest.split(" ")[0].encode() or b"/", b"1.1")
    request.process_headers([tuple(line.encode().split(b": ", 1)) for line in lines])

    got_head, end, body = got.partition(b"\r\n\r\n")
    assert end, f"{what}: expected a response, found {got[:200]}"
    top, *lines = got_head.split(b"\r\n")
    version, code, reason = top.split(b" ", 2)
    equal(what, code, str(status).encode())
    response = HttpResponseLinter(start_time=start)
    response.request = request
    response.is_head_response = method == "HEAD"
    response.process_response_topline(version.removeprefix(b"HTTP/"), code, reason)
    response.process_headers([tuple(line.split(b": ", 1)) for line in lines])
    if body:
        response.feed_content(body)
    response.finish_content(True)
    return [note for whole in response.notes for note in (whole, *whole.subnotes)]


def main():
    print("httplint", __version__)
    warnings, errors = defaultdict(list), []
    for url, head, status in RESPONSES:
        start = time.time()
        got = ask_too_often(url, head) if status == 503 else ask(url, head)
        for note in lint(head, got, status, start):
            # httplint rates the status itself, which is the expected one here: 400 as a
            # warning, 414 as an error, and all others as neither.
            if type(note).__name__ in ("STATUS_BAD_REQUEST", "STATUS_URI_TOO_LONG"):
                continue
            if note.level == levels.WARN:
                warnings[note.summary].append(status)
            if note.level == levels.BAD:
                errors.append(f"{head[:40]!r}: {status}: {note.summary}")
    for summary, statuses in warnings.items():
        print(f"warning: {summary} ({len(statuses)} responses: {', '.join(map(str, sorted(set(statuses))))})")
    assert not errors, "expected no errors, found:\n" + "\n".join(errors)


main()
