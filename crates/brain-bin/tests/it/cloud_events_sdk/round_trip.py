"""Publishes with the CloudEvents SDK in all three modes of its HTTP binding, and reads equal events back.

Usage: round_trip.py URL
"""

import json
import sys
import urllib.request
from datetime import datetime, timezone

from cloudevents.core.bindings import http
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

EVENTS = sys.argv[1] + "/api/swarm/events"
BATCH = "application/cloudevents-batch+json"
FORMAT = JSONFormat()


def event(name, version=1):
    attributes = {
        "id": f"{name}/ü 100%",
        "source": "https://example.com/sdk?of=python#1",
        "type": "sdk.sent",
        "subject": f"run/{name} \"quoted\" ✓",
        "time": datetime(2026, 1, 2, 3, 4, 5, 678901, timezone.utc),
        "datacontenttype": "application/json",
        "swarmid": "sdk",
        "schemaversion": version,
        "correlationid": "story-1",
        "runbookid": "book/1",
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "tracestate": "a=1,b=2",
    }
    return CloudEvent(attributes, {"name": name, "text": "grüße ✓", "nested": {"list": [1, 2.5, None, True]}})


def send(message):
    request = urllib.request.Request(EVENTS, message.body, message.headers, method="POST")
    with urllib.request.urlopen(request) as answer:
        return answer.status, json.load(answer)


def read():
    request = urllib.request.Request(EVENTS + "?swarmId=sdk&limit=500", headers={"Accept": BATCH})
    with urllib.request.urlopen(request) as answer:
        assert answer.headers.get_content_type() == BATCH, answer.headers
        listed = json.load(answer)
    return [FORMAT.read(None, json.dumps(one)) for one in listed]


structured, binary = event("structured"), event("binary")
batch = [event("batch/1"), event("batch/2", version=2)]
assert send(http.to_structured_event(structured))[0] == 201
assert send(http.to_binary_event(binary))[0] == 201
# The SDK writes each event of a batch; the list around them is JSON's.
body = b"[" + b",".join(FORMAT.write(one) for one in batch) + b"]"
message = http.HTTPMessage({"content-type": BATCH}, body)
status, answer = send(message)
assert status == 201 and [one["duplicate"] for one in answer["events"]] == [False, False], answer
status, answer = send(message)
assert status == 200 and [one["duplicate"] for one in answer["events"]] == [True, True], answer

sent = [structured, binary, *batch]
received = read()
assert len(received) == len(sent), [one.get_id() for one in received]
for number, (mine, theirs) in enumerate(zip(sent, received), start=1):
    attributes = dict(theirs.get_attributes())
    assert attributes.pop("sequence") == str(number), theirs.get_attributes()
    assert attributes == mine.get_attributes(), (attributes, mine.get_attributes())
    assert theirs.get_data() == mine.get_data(), (theirs.get_data(), mine.get_data())
print("equal", len(received))
