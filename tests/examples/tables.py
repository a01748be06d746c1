"""What each example is to answer: its table of requests."""

import pathlib
import re

HTML = "text/html; charset=utf-8"


def row(method, target, status, reason=None, fields=None, body=None, sends=b"", with_fields=None):
    """A request, and what is to come back; None for what does not matter.

    In `fields` a None says that there is no such field.
    """
    return (method, target, with_fields or {}, sends), (status, reason, fields or {}, body)


def default():
    """The table of the default handler, as the host's own tests have it."""
    text = (pathlib.Path(__file__).parent.parent / "answers.rs").read_text()
    names = dict(re.findall(r'^const (\w+): &str = "(.*)";$', text, re.MULTILINE))
    lines = re.findall(
        r'^    \("(\w+)", +"(.*?)", +(\d+), "(.*?)", +(?:None|Some\((\w+)\)), +(\w+|"")\),$', text, re.MULTILINE
    )
    rows = []
    for method, target, status, reason, allow, body in lines:
        body = names.get(body, "").encode()
        kind, length = (HTML, str(len(body))) if body else (None, None)
        fields = {"allow": names.get(allow), "content-type": kind, "content-length": length}
        rows.append(row(method, target, int(status), reason, fields, body))
    assert len(rows) >= 20, f"tests/answers.rs: expected its table, found {len(rows)} rows of it"
    # As long a body as the server takes: the module has to make room for it.
    rows.append(row("POST", "/", 405, body=names["NOT_ALLOWED"].encode(), sends=bytes(1024 * 1024)))
    return rows


TABLES = {"default": default}
