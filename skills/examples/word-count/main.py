"""Counts words: a skill that speaks JSON-RPC 2.0, one message a line."""

import collections
import json
import re
import sys


def count(payload):
    text = payload["text"]
    words = re.findall(r"\w+", text.lower())
    top = collections.Counter(words).most_common(int(payload.get("top", 5)))
    return {
        "words": len(words),
        "lines": len(text.splitlines()),
        "top": [{"word": word, "times": times} for word, times in top],
    }


def answer(request):
    method, params = request["method"], request.get("params", {})
    if method == "healthcheck":
        return {"result": {"ok": True}}
    if method == "execute" and params.get("command") == "count":
        try:
            return {"result": count(params.get("payload", {}))}
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            return {"error": {"code": -32602, "message": f"payload: {error!r}"}}
    return {"error": {"code": -32601, "message": f"no such method or command: {method}"}}


for line in sys.stdin:
    request = json.loads(line)
    if "id" in request:  # without one it is a notification, such as a cancellation
        print(json.dumps({"jsonrpc": "2.0", "id": request["id"], **answer(request)}), flush=True)
