"""Compares a Perfetto trace with the rows of the run from which it was exported. Reads it with the protos of Perfetto.

Usage: read_perfetto.py TRACE FOLDER
Fails unless each row of invocations.jsonl and calls.jsonl is one slice with the same times to the nanosecond, the slices of each
track are nested, and each call with an invocation has an arrow to it. Prints the number of slices, arrows and counter values.
"""

import collections
import decimal
import json
import pathlib
import sys

from google.protobuf.unknown_fields import UnknownFieldSet
from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import Trace, TrackEvent

trace_path, folder = sys.argv[1], pathlib.Path(sys.argv[2])


def rows(name):
    return [json.loads(line, parse_float=decimal.Decimal) for line in (folder / name).open()]


def ns(ms):
    return int(decimal.Decimal(ms).scaleb(6))


trace = Trace()
trace.ParseFromString(pathlib.Path(trace_path).read_bytes())
names, categories, details, tracks = {}, {}, {}, {}
events = []
for packet in trace.packet:
    assert not len(UnknownFieldSet(packet)), packet
    for interned, known in (("event_names", names), ("event_categories", categories), ("debug_annotation_names", details)):
        for entry in getattr(packet.interned_data, interned):
            assert entry.iid not in known, f"{entry.name} is interned twice"
            known[entry.iid] = entry.name
    if packet.HasField("track_descriptor"):
        track = packet.track_descriptor
        assert track.uuid not in tracks and (not track.parent_uuid or track.parent_uuid in tracks)
        tracks[track.uuid] = track
    if packet.HasField("track_event"):
        event = packet.track_event
        assert event.track_uuid in tracks, "an event before its track"
        events.append((packet.timestamp, event))


def path(uuid):
    track = tracks[uuid]
    own = track.process.process_name or track.name
    return [*path(track.parent_uuid), own] if track.parent_uuid else [own]


# Perfetto sorts by time. Events with equal times keep the order of the file.
events.sort(key=lambda entry: entry[0])
slices, open_slices, values, flows = {}, collections.defaultdict(list), [], collections.defaultdict(list)
for timestamp, event in events:
    stack = open_slices[event.track_uuid]
    if event.type == TrackEvent.TYPE_SLICE_BEGIN:
        known = {details[a.name_iid]: a.string_value if a.HasField("string_value") else a.int_value for a in event.debug_annotations}
        kind = categories[event.category_iids[0]]
        slice = {"start": timestamp, "name": names[event.name_iid], "path": path(event.track_uuid), "kind": kind, **known}
        slice["depth"] = len(stack)
        stack.append(slice)
        key = (kind, known["trace_id"], known["span_id"])
        assert key not in slices, f"{key} has two slices"
        slices[key] = slice
        for flow in event.flow_ids:
            flows[flow].append(slice)
    elif event.type == TrackEvent.TYPE_SLICE_END:
        assert stack, "an end without a beginning"
        slice = stack.pop()
        slice["end"] = timestamp
    else:
        assert event.type == TrackEvent.TYPE_COUNTER
        values.append((timestamp, event.track_uuid, event.double_counter_value))
assert not any(open_slices.values()), "a slice without an end"

bytes_in = 0
for row in rows("invocations.jsonl"):
    ids = (row["trace_id"], row["span_id"])
    slice = slices.pop(("service", *ids))
    start = ns(row["ts_start"]) if row["queue_time_ms"] is not None else ns(row["ts_enqueue"])
    assert (slice["start"], slice["end"]) == (start, ns(row["ts_end"])), (slice, row)
    if start > ns(row["ts_enqueue"]):
        wait = slices.pop(("queue", *ids))
        assert (wait["start"], wait["end"]) == (ns(row["ts_enqueue"]), start), (wait, row)
    node = f"{row['node']} ({row['stage']})" if row["stage"] != "unknown" else row["node"]
    assert slice["path"][:2] == [node, f"{row['module_id']} {row['instance_id']}"], (slice, row)
    for name in ("status", "bytes_in", "bytes_out", "error_type"):
        assert slice.get(name) == row.get(name), (name, slice, row)
    cpu = row["cpu_time_ms"]
    assert slice.get("cpu_time_ns") == (None if cpu is None else ns(cpu)), (slice, row)
    bytes_in += row["bytes_in"] or 0
callers = {}
for row in rows("calls.jsonl"):
    slice = slices.pop(("call", row["trace_id"], row["span_id"]))
    assert (slice["start"], slice["end"]) == (ns(row["ts_start"]), ns(row["ts_end"])), (slice, row)
    for name in ("status", "bytes_in", "bytes_out", "error_type"):
        assert slice.get(name) == row.get(name), (name, slice, row)
    callers[row["trace_id"], row["span_id"]] = slice
assert not slices, f"slices without rows: {list(slices)[:3]}"

arrows = [ends for ends in flows.values() if len(ends) > 1]
assert all(len(ends) == 2 for ends in arrows)
connected = {(call["trace_id"], call["span_id"], to["span_id"]) for ends in arrows for call in ends if call["kind"] == "call" for to in ends if to is not call}
# Some rows name their call only by the parent span: the consumer of a message, and a service that ended after its call.
named = [(row, row.get("caller_span_id") or row.get("parent_span_id")) for row in rows("invocations.jsonl")]
expected = {(row["trace_id"], call, row["span_id"]) for row, call in named if (row["trace_id"], call) in callers}
assert connected == expected, f"{len(connected)} arrows, {len(expected)} expected"

samples = [(ns(row["ts_ms"]), float(row["cpu_util"])) for row in rows("host_metrics.jsonl") if row["cpu_util"] is not None]
names_of = {uuid: track.name for uuid, track in tracks.items()}
assert sorted((at, value) for at, track, value in values if names_of[track] == "cpu") == sorted(samples)
stats = [(ns(row["ts_ms"]), float(row["value"])) for row in rows("system_stats.jsonl") if row["metric"] == "in_flight"]
in_flight = [(at, value) for at, track, value in values if names_of[track] == "in_flight"]
assert set(in_flight) <= set(stats) and (in_flight or not stats)

print(json.dumps({"invocations": len(rows("invocations.jsonl")), "calls": len(callers), "arrows": len(arrows), "values": len(values), "bytes_in": bytes_in}))
