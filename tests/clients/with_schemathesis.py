"""Schemathesis tries the API of the server with requests that it makes from the OpenAPI
description, right ones and wrong ones, and compares the replies with the description."""

import os
import re
import subprocess
import sys

try:
    import schemathesis
except ImportError:
    sys.exit(77)

# Most requests of each kind for one resource.
EXAMPLES = "40"

if "SCHEMATHESIS_HOOKS" in os.environ:
    # Loaded by Schemathesis itself.
    @schemathesis.serializer("application/wasm")
    def module(_context, value):
        return value if isinstance(value, bytes) else str(value).encode()

else:
    scratch = os.environ["SCRATCH"]
    with open(os.path.join(scratch, "schemathesis.toml"), "w") as settings:
        # A module that can be sent may still be rejected, and another version may be current.
        settings.write("[checks]\npositive_data_acceptance.expected-statuses = ['2xx', 403, 404, 409, 412, 422]\n")
        # The version that has to be current is looked at before the body.
        settings.write("negative_data_rejection.expected-statuses = ['4xx']\n")
    command = [os.path.join(os.path.dirname(sys.executable), "schemathesis"), "run", os.environ["API"] + "/v1/openapi.json"]
    command += ["-H", "authorization: Bearer " + os.environ["TOKEN"], "-H", "x-host-admin: schemathesis"]
    command += ["--checks", "all", "--max-examples", EXAMPLES, "--seed", "1", "--continue-on-failure", "--no-color"]
    # These streams have no end that could be waited for; with_curl.sh and with_page.py read them.
    command += ["--exclude-path", "/v1/events", "--exclude-path", "/v1/traffic"]
    # This one replaces the server, whose process the runner of these tests ends.
    command += ["--exclude-path", "/v1/upgrade"]
    here = os.path.dirname(os.path.abspath(__file__))
    environment = os.environ | {"SCHEMATHESIS_HOOKS": "with_schemathesis", "PYTHONPATH": here}
    ran = subprocess.run(command, cwd=scratch, env=environment, capture_output=True, text=True, timeout=240)
    cases = re.search(r"(\d+) generated", ran.stdout)
    print("schemathesis", schemathesis.SCHEMATHESIS_VERSION, "with", cases.group(1) if cases else "no", "requests")
    if ran.returncode != 0 or not cases or int(cases.group(1)) < 200:
        print(ran.stdout[-8000:] + ran.stderr[-2000:])
        sys.exit(1)
