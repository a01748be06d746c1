"""An HTTP client that sends requests unchanged, and several at once if it is told to."""

import socket


class Reply:
    def __init__(self, status, reason, fields, body):
        self.status, self.reason, self.fields, self.body = status, reason, fields, body


class Client:
    """One connection. Methods and targets go out as they are given."""

    def __init__(self, url):
        host, _, port = url.removeprefix("http://").rpartition(":")
        self.socket = socket.create_connection((host, int(port)), timeout=20)
        self.stream = self.socket.makefile("rb")

    def send(self, *requests):
        """Sends requests of method, target, fields and body, all at once."""
        message = b""
        for method, target, fields, body in requests:
            lines = [f"{method} {target} HTTP/1.1", "host: examples"]
            lines += [f"{name}: {value}" for name, value in fields.items()]
            if body:
                lines.append(f"content-length: {len(body)}")
            message += "\r\n".join([*lines, "", ""]).encode() + body
        self.socket.sendall(message)

    def reply(self, method):
        """Reads the next response, to a request of this method."""
        line = self.stream.readline().decode()
        assert line.startswith("HTTP/1.1 "), f"expected a status line, found {line!r}"
        _, status, reason = line.rstrip("\r\n").split(" ", 2)
        fields = {}
        while line := self.stream.readline().decode().rstrip("\r\n"):
            name, _, value = line.partition(":")
            name, value = name.lower(), value.strip()
            # There may be several cookies, each in a field of its own.
            fields[name] = f"{fields[name]}\n{value}" if name in fields else value
        length = 0 if method == "HEAD" else int(fields.get("content-length", 0))
        return Reply(int(status), reason, fields, self.stream.read(length))
