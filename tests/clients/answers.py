"""Answers expected of the servers that `run` starts, and functions that compare them."""

import os
import reprlib

HELLO = os.environ["HELLO"]  # serves the default handler
ECHO = os.environ["ECHO"]  # answers with the request's own body

INDEX = b"<h1> hello index</h1>"
ROUTE = b"<h1> hello route</h1>"
NOT_FOUND = b"<h1>error 404 not found</h1>"
NOT_ALLOWED = b"<h1>error 405 method not allowed</h1>"
ALLOW = "GET, HEAD, OPTIONS"

# Method, target; status, reason, `allow`, and the body that GET would have.
ANSWERS = [
    ("GET", "/", 200, "OK", None, INDEX),
    ("GET", "/route", 200, "OK", None, ROUTE),
    ("GET", "/route?a=1&b=%20", 200, "OK", None, ROUTE),
    ("GET", "/nope", 404, "page not found", None, NOT_FOUND),
    ("HEAD", "/", 200, "OK", None, INDEX),
    ("HEAD", "/nope", 404, "page not found", None, NOT_FOUND),
    ("OPTIONS", "/", 204, "No Content", ALLOW, b""),
    ("POST", "/", 405, "method is not allowed", ALLOW, NOT_ALLOWED),
    ("PUT", "/route", 405, "method is not allowed", ALLOW, NOT_ALLOWED),
    ("DELETE", "/nope", 405, "method is not allowed", ALLOW, NOT_ALLOWED),
]

# Bodies: nothing, one byte, more than one read returns, and the most that the server accepts.
UPLOADS = [os.urandom(size) for size in (0, 1, 64 * 1024, 1024 * 1024)]
# More than the kernel buffers before the server reads.
TOO_LONG = bytes(8 * 1024 * 1024)

short = reprlib.Repr()
short.maxstring = short.maxother = 300


def equal(what, found, expected):
    """Ends the script unless what was found is what was expected."""
    assert found == expected, f"{what}: expected {short.repr(expected)}, found {short.repr(found)}"


def answered(asked, status, reason, fields, body):
    """Compares a response with the row of the table that was requested."""
    method, target, *expected, page = asked
    what = f"{method} {target}"
    equal(what, [status, reason, fields.get("allow")], expected)
    length = None if status == 204 else str(len(page))
    equal(f"{what}, content-length", fields.get("content-length"), length)
    equal(f"{what}, body", body, b"" if method == "HEAD" else page)


def pieces(body):
    """Yields a body in pieces whose length is no power of two."""
    for start in range(0, len(body), 10_007):
        yield body[start : start + 10_007]
