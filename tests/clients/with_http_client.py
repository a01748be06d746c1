"""Python's own http.client."""

import platform
from http.client import HTTPConnection
from urllib.parse import urlsplit

from answers import ANSWERS, ECHO, HELLO, UPLOADS, answered, equal, pieces


def connect(url):
    return HTTPConnection(urlsplit(url).netloc, timeout=30)


def all_on_one_connection():
    connection = connect(HELLO)
    connection.connect()
    socket = connection.sock
    for asked in ANSWERS * 2:
        method, target, *_ = asked
        connection.request(method, target)
        response = connection.getresponse()
        answered(asked, response.status, response.reason, response.headers, response.read())
        assert connection.sock is socket, f"{method} {target}: expected the connection to live on, found it closed"


def an_end_that_was_asked_for():
    connection = connect(HELLO)
    connection.request("GET", "/", headers={"connection": "close"})
    response = connection.getresponse()
    equal("connection: close, connection", response.getheader("connection"), "close")
    response.read()
    assert connection.sock is None, "connection: close: expected the end of the connection, found it open"


def uploads():
    connection = connect(ECHO)
    for body in UPLOADS:
        for sent, how in [(body, "with a length"), (pieces(body), "in chunks")]:
            connection.request("POST", "/", sent)
            equal(f"{len(body)} bytes {how}", connection.getresponse().read(), body)


def head_of_an_upload(length):
    """Sends only the head. Returns the connection and the line that comes back."""
    connection = connect(ECHO)
    connection.putrequest("POST", "/")
    connection.putheader("content-length", str(length))
    connection.putheader("expect", "100-continue")
    connection.endheaders()
    # http.client itself would skip a 100.
    with connection.sock.makefile("rb", 0) as answer:
        line = answer.readline()
        if line.startswith(b"HTTP/1.1 100 "):
            equal("the line behind a 100", answer.readline(), b"\r\n")
    return connection, line


def expectations():
    for body in UPLOADS[1:]:
        connection, line = head_of_an_upload(len(body))
        equal("expect: 100-continue", line, b"HTTP/1.1 100 Continue\r\n")
        connection.send(body)
        equal("what comes back after a 100", connection.getresponse().read(), body)
    # A client whose request will be refused is not told to send the body.
    _, line = head_of_an_upload(1024 * 1024 + 1)
    equal("expect: 100-continue, too long a body", line, b"HTTP/1.1 413 Payload Too Large\r\n")


print("http.client of Python", platform.python_version())
all_on_one_connection()
an_end_that_was_asked_for()
uploads()
expectations()
