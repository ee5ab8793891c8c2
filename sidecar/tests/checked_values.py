"""Checks values by the sidecar's table: a case per line of stdin, an outcome per line of stdout.

`test/fuzz/values.test.ts` of the gateway compares the outcomes with its own.
"""

import base64
import json
import sys

from sigrun.sidecar.v1 import sidecar_service_pb2 as pb

from dspy_sidecar.values.checking import ValuesCheck
from dspy_sidecar.values.violations import RefusedError


def outcome(case: dict) -> dict:
    program = pb.Program.FromString(base64.b64decode(case["program"]))
    try:
        values = ValuesCheck(program.signature.outputs).coerced(case["values"])
    except RefusedError as error:
        return {"violations": [[v.path, v.reason, v.description] for v in error.violations]}
    return {"values": values}


for line in sys.stdin:
    print(json.dumps(outcome(json.loads(line))))
