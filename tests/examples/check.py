"""Checks a running server against a table: python3 check.py URL TABLE"""

import reprlib
import sys

from client import Client
from tables import TABLES

# So many that each instance is used again and again: what one request left behind would
# show in the next.
REQUESTS = 10_000
AT_ONCE = 50

short = reprlib.Repr()
short.maxstring = short.maxother = 500


def equal(what, found, expected):
    """Ends the script unless what was found is what was expected."""
    if found != expected:
        sys.exit(f"{what}: expected {short.repr(expected)}, found {short.repr(found)}")


def compare(asked, expected, reply):
    method, target, _, _ = asked
    status, reason, fields, body = expected
    what = f"{method} {short.repr(target)}"
    equal(f"{what}, status", reply.status, status)
    if reason is not None:
        equal(f"{what}, reason", reply.reason, reason)
    for name, value in fields.items():
        equal(f"{what}, {name}", reply.fields.get(name), value)
    if callable(body):
        body(reply)
    elif body is not None:
        equal(f"{what}, body", reply.body, b"" if method == "HEAD" else body)


def each_alone(url, table):
    for asked, expected in table:
        client = Client(url)
        client.send(asked)
        compare(asked, expected, client.reply(asked[0]))


def many_at_once(url, table):
    """Sends short requests in batches, and reads the answers after each batch."""
    table = [each for each in table if len(each[0][3]) < 1024]
    client = Client(url)
    for start in range(0, REQUESTS, AT_ONCE):
        batch = [table[index % len(table)] for index in range(start, start + AT_ONCE)]
        client.send(*[asked for asked, _ in batch])
        for asked, expected in batch:
            compare(asked, expected, client.reply(asked[0]))


if __name__ == "__main__":
    url, name = sys.argv[1:]
    table = TABLES[name]()
    each_alone(url, table)
    many_at_once(url, table)
    # Repeats each request after the many, of which none has a long body.
    each_alone(url, table)
