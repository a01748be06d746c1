"""httpx over HTTP/2 and TLS."""

import os
import ssl
import sys

try:
    import h2
    import httpx
except ImportError:
    sys.exit(77)
if not os.environ.get("SECURE"):
    sys.exit(77)

from answers import ANSWERS, UPLOADS, answered, equal

print(f"httpx {httpx.__version__} with h2 {h2.__version__}")
trust = ssl.create_default_context(cafile=os.environ["CERTIFICATE"])
with httpx.Client(http1=False, http2=True, verify=trust, timeout=30) as client:
    for asked in ANSWERS:
        response = client.request(asked[0], os.environ["SECURE"] + asked[1])
        equal("the version", response.http_version, "HTTP/2")
        # HTTP/2 has no reason phrases, so httpx tells the usual ones.
        answered(asked, response.status_code, asked[3], response.headers, response.content)
    for body in UPLOADS:
        response = client.post(os.environ["SECURE_ECHO"], content=body)
        equal("the upload's status", response.status_code, 200)
        equal("whether the upload came back", response.content == body, True)
