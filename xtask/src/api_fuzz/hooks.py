"""What requests are spared: waiting for a minute, whole numbers that are written with a fraction, and idempotency keys that
belong to another request."""

import re
import uuid

import schemathesis

# Long enough to wait at all.
SHORT = 20


def shortened(value):
    """A valid wait becomes a short one; whatever is not valid stays as it is."""
    if isinstance(value, int) and not isinstance(value, bool) and SHORT < value <= 60_000:
        return SHORT
    return value


def whole(value):
    """JSON Schema takes 5.0 for an integer, and no client writes one so. The server wants 5."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    if isinstance(value, list):
        return [whole(item) for item in value]
    if isinstance(value, dict):
        return {name: whole(item) for name, item in value.items()}
    return value


def fresh(key):
    """A valid key becomes one that no request had; whatever is not valid stays as it is."""
    if isinstance(key, str) and re.fullmatch(r"[!-~]{1,128}", key):
        return uuid.uuid4().hex
    return key


@schemathesis.hook
def before_call(context, case, kwargs):
    if isinstance(case.body, (dict, list)):
        case.body = whole(case.body)
    if isinstance(case.body, dict) and "waitMs" in case.body:
        case.body["waitMs"] = shortened(case.body["waitMs"])
    for name in [name for name in (case.headers or {}) if name.lower() == "idempotency-key"]:
        case.headers[name] = fresh(case.headers[name])
    if isinstance(case.query, dict) and "waitMs" in case.query:
        case.query["waitMs"] = shortened(case.query["waitMs"])
