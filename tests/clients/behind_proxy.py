"""Sends requests through a proxy while the handler behind it is swapped: none fails, and each body
comes back as it was sent. Usage: behind_proxy.py PROXY API MODULE; PROXY and API are URLs, and the
variable TOKEN has the token of the API. Prints how many requests and swaps there were."""

import http.client
import os
import sys
import threading
import urllib.parse
import urllib.request

CLIENTS = 4
REQUESTS = 400
SWAPS = 20
# Nothing, less than a packet, more than the buffers of a proxy, and the most that the server takes.
SIZES = [0, 100, 100_000, 1 << 20]

proxy, api, module = sys.argv[1:]
address = urllib.parse.urlsplit(proxy).netloc
failures, versions = [], set()
answered, swaps_done = threading.Semaphore(0), threading.Event()


def send(seed):
    connection = http.client.HTTPConnection(address, timeout=60)
    number = 0
    # Goes on until all swaps are done, so that swaps meet requests however fast either is.
    while number < REQUESTS or not swaps_done.is_set():
        number += 1
        body = bytes([seed]) * SIZES[number % len(SIZES) if number % 10 == 0 else 1]
        try:
            connection.request("POST", f"/?{seed}-{number}", body)
            reply = connection.getresponse()
            found = reply.read()
        except Exception as error:  # every failure counts
            failures.append(f"request {seed}-{number}: {error!r}")
            break
        answered.release()
        versions.add(reply.headers["x-handler-version"])
        if reply.status != 200 or found != body:
            failures.append(f"request {seed}-{number}: expected 200 and {len(body)} bytes, found {reply.status} and {len(found)}")
            break


def swap(number):
    with open(module, encoding="utf-8") as file:
        text = file.read()
    # Other bytes that do the same.
    changed = text.replace("(module", f"(module (global i32 (i32.const {number}))", 1)
    headers = {"authorization": f"Bearer {os.environ['TOKEN']}", "x-host-admin": "1"}
    request = urllib.request.Request(f"{api}/v1/versions?name={number}", changed.encode(), headers)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=60) as reply:
        assert b'"outcome":"serving"' in (said := reply.read()), said


threads = [threading.Thread(target=send, args=[seed]) for seed in range(CLIENTS)]
for thread in threads:
    thread.start()
try:
    for number in range(SWAPS):
        # A swap comes after some requests, so that each version answers some.
        for _ in range(10):
            answered.acquire(timeout=60)
        swap(number)
except Exception as error:
    failures.append(f"a swap: {error!r}")
swaps_done.set()
for thread in threads:
    thread.join()
if len(versions) < SWAPS / 2:
    failures.append(f"expected answers of many versions, found {sorted(versions)}")
for failure in failures:
    print(failure)
sys.exit(1 if failures else 0)
