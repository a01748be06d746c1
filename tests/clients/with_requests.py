"""requests, which uses urllib3."""

import sys
from urllib.parse import urlsplit

from answers import ANSWERS, ECHO, HELLO, TOO_LONG, UPLOADS, answered, equal, pieces

try:
    import requests
except ImportError:
    sys.exit(77)


def connections(session, url):
    """Returns how many connections to a server the session has opened so far."""
    pools = session.get_adapter(url).poolmanager.pools
    opened = [pools[key] for key in pools.keys()]
    return sum(pool.num_connections for pool in opened if pool.port == urlsplit(url).port)


print("requests", requests.__version__)
with requests.Session() as session:
    for asked in ANSWERS * 2:
        method, target, *_ = asked
        response = session.request(method, HELLO + target, timeout=30)
        answered(asked, response.status_code, response.reason, response.headers, response.content)
    equal("connections for the table", connections(session, HELLO), 1)

    for body in UPLOADS:
        for sent, how in [(body, "with a length"), (pieces(body), "in chunks")]:
            response = session.post(ECHO, data=sent, timeout=30)
            equal(f"{len(body)} bytes {how}", response.content, body)
    response = session.post(ECHO, data={"a": "ä"}, files={"file": ("name", UPLOADS[2])}, timeout=30)
    equal("a form with a file", response.content, response.request.body)
    # The server does not read the whole body, and yet its answer has to arrive.
    for sent in (TOO_LONG, pieces(TOO_LONG)):
        equal("too long a body", requests.post(ECHO, data=sent, timeout=30).status_code, 413)
    equal("connections for the uploads", connections(session, ECHO), 1)
