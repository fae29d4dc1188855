"""Reads a workflow with WfCommons, and compares it with the plan from which it was exported.

Usage: read_wfformat.py WORKFLOW PLAN
PLAN is the output of `cctf plan` for the same run. WfCommons checks ids, edges, files and machines; with its own schema if
WFFORMAT_SCHEMA names it, else with the part of it that is in this folder. Fails unless the graph, executed without waits and
network, has the arrivals and the own times of the plan. Prints the counts.
"""

import decimal
import json
import os
import pathlib
import sys

from wfcommons.wfinstances import Instance
from wfcommons.wfinstances.schema import SchemaValidator

workflow_path, plan_path = map(pathlib.Path, sys.argv[1:])
schema = os.environ.get("WFFORMAT_SCHEMA", pathlib.Path(__file__).with_name("wfformat-1.5.schema.json"))
raw = json.loads(workflow_path.read_text())
validator = SchemaValidator(pathlib.Path(schema))
validator.validate_instance(raw)
warnings = [warning for warning in validator.warnings if "is not a 'hostname'" not in warning]
assert not validator.errors and not warnings, (validator.errors, warnings)
instance = Instance(workflow_path, schema)

exact = json.loads(workflow_path.read_text(), parse_float=decimal.Decimal)["workflow"]
specified = {task["id"]: task for task in exact["specification"]["tasks"]}
executed = {task["id"]: task for task in exact["execution"]["tasks"]}
assert set(specified) == set(executed) == set(instance.workflow.nodes) and len(specified) > 1


def ns(seconds):
    value = decimal.Decimal(seconds).scaleb(9)
    assert value == int(value)
    return int(value)


# The end of each task if there are unlimited machines. WfCommons has found no cycle.
ends = {}
for first in specified:
    stack = [first]
    while stack:
        task = specified[stack[-1]]
        missing = [parent for parent in task["parents"] if parent not in ends]
        stack.extend(missing)
        if not missing:
            begin = max((ends[parent] for parent in task["parents"]), default=0)
            ends[task["id"]] = begin + ns(executed[task["id"]]["runtimeInSeconds"])
            stack.pop()

roots = [line for line in map(lambda text: json.loads(text, parse_float=decimal.Decimal), plan_path.open()) if line["type"] == "root"]
ms = lambda value: int(decimal.Decimal(value or 0).scaleb(6))
chains = 0
for number, root in enumerate(roots):
    assert ends[f"{number}.arrival"] == ms(root["at_ms"]), (number, root)
    own = 0
    for invocation in root["invocations"]:
        for call in invocation.get("calls", []):
            own += ms(call.get("duration_ms")) if call["ends"] == "duration" else 0
        own += ms(invocation.get("cpu_ms")) + ms(invocation.get("other_ms")) - ms(invocation.get("beside_cpu_ms"))
    # If no calls are parallel, the root's answer is sent after the own times of all invocations and the calls without an
    # invocation.
    is_sequential = all(
        len(invocation.get("calls", [])) <= 1
        and all(call["what"] != "message" and call["ends"] != "timeout" and not call.get("after_answer") for call in invocation.get("calls", []))
        for invocation in root["invocations"]
    )
    if is_sequential:
        chains += 1
        response = ends[f"{number}.0.answer"] - ends[f"{number}.arrival"]
        assert abs(response - own) <= 1, (response, own, root)
files = {file["id"]: file["sizeInBytes"] for file in exact["specification"]["files"]}
print(
    json.dumps(
        {
            "roots": len(roots),
            "sequential": chains,
            "invocations": sum(id.endswith(".answer") for id in specified),
            "bytes_in": sum(size for id, size in files.items() if id.endswith(".in")),
            "bytes_out": sum(size for id, size in files.items() if id.endswith(".out")),
            "tasks": len(specified),
        }
    )
)
