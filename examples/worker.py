"""A Studio Brain worker in plain Python: python3 worker.py http://127.0.0.1:8787 my-agent. Contract: docs/TASKS.md."""
import http.client, json, os, sys, threading, time, urllib.parse, urllib.request
URL, AGENT = sys.argv[1].rstrip("/") + "/api/swarm", sys.argv[2]
HEADERS = {"content-type": "application/json", "authorization": "Bearer " + (os.getenv("BRAIN_TOKEN") or os.getenv("STUDIO_BRAIN_ADMIN_TOKEN", ""))}
LEASE = float(os.getenv("LEASE_SECONDS", "30"))  # how soon somebody else gets a task when this program dies
held = {}  # (taskId, fencingToken): [until when it is ours, by our own clock, counted from before the request]

def post(path, body, wait=0.0):  # gives (status, answer); status 0: the brain is away or busy, the call may be repeated
    request = urllib.request.Request(URL + path, json.dumps(body).encode(), HEADERS)
    try:
        with urllib.request.urlopen(request, timeout=wait + 10) as answer:
            return answer.status, json.load(answer)
    except (OSError, ValueError, http.client.HTTPException) as error:
        status = getattr(error, "code", 0)
        return (0 if status >= 500 or status == 429 else status), str(error)

def heartbeats():
    while True:
        asked, mine = time.monotonic(), dict(held)
        tasks = [{"taskId": task, "fencingToken": token} for task, token in mine]
        status, answer = post(f"/agents/{urllib.parse.quote(AGENT, safe='')}/heartbeat", {"tasks": tasks})
        for verdict in ("held", "lost") if status == 200 else ():  # lost: cancelled, given away, or the lease ran out
            for lease in (mine[task["taskId"], task["fencingToken"]] for task in answer[verdict]):
                lease[0] = asked + LEASE if verdict == "held" and lease[0] > time.monotonic() else 0.0
        time.sleep(LEASE / 3 if status == 200 else min(1, LEASE / 9))

def work(inputs, lost):  # Your work. Ask lost() now and then: when it says so, somebody else may have the task already.
    return {"words": len([word for word in str(inputs.get("text", "")).split() if not lost()])}

def attempt(task, lease):
    held[task["taskId"], task["fencingToken"]] = lease
    lost, said = lambda: time.monotonic() >= lease[0], {"agentId": AGENT, "fencingToken": task["fencingToken"]}
    try:
        verb, said["outputs"] = "complete", work(task["inputs"], lost)
    except Exception as error:
        verb, said["error"] = "fail", repr(error)  # tried again after a backoff; "retryable": False would end the task
    while not lost() and post(f"/tasks/{urllib.parse.quote(task['taskId'], safe='')}/{verb}", said)[0] == 0:
        time.sleep(0.5)  # Repeating is safe: a result that is stored already gets the same answer.
    del held[task["taskId"], task["fencingToken"]]

threading.Thread(target=heartbeats, daemon=True).start()
claim, status = {"agentId": AGENT, "leaseMs": int(LEASE * 1000), "waitMs": int(LEASE * 333)}, 404
while status in (0, 200, 404):
    if status == 404:  # nobody knows this agent (yet)
        post("/agents", {"agentId": AGENT, "assignment": "pull"})
    asked, (status, answer) = time.monotonic(), post("/tasks/claim", claim, wait=LEASE / 3)
    for task in answer["tasks"] if status == 200 else ():
        attempt(task, [asked + LEASE])
    time.sleep(0 if status == 200 else 0.5)
sys.exit(f"refused with status {status}: {answer}")
