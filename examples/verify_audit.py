#!/usr/bin/env python3
"""Verifies an export of the audit trail: verify_audit.py FILE [PUBLIC_KEY ...]. It needs Python alone; docs/AUDIT.md has the format."""
import hashlib, json, re, sys
P, L = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493  # Ed25519, RFC 8032.
D = -121665 * pow(121666, -1, P) % P
def need(holds, why):
    if not holds: raise ValueError(why)
def add(a, b):
    t, straight = D * a[0] * b[0] * a[1] * b[1], a[1] * b[1] + a[0] * b[0]
    return (a[0] * b[1] + b[0] * a[1]) * pow(1 + t, -1, P) % P, straight * pow(1 - t, -1, P) % P
def times(n, a): return add(times(n // 2, add(a, a)), a if n % 2 else (0, 1)) if n else (0, 1)
def point(data):
    y, odd = int.from_bytes(data, "little") % 2**255, data[31] >> 7
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square: x = x * pow(2, (P - 1) // 4, P) % P
    need(x * x % P == square and y < P, "that is no key and no signature")
    return (x if x % 2 == odd else P - x), y
def canonical(value): return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
def sha256(data): return hashlib.sha256(data).hexdigest()
def signed(thing, key):
    message, signature, key = canonical({n: thing[n] for n in thing if n != "signature"}), bytes.fromhex(thing["signature"]), bytes.fromhex(key)
    h, s = (int.from_bytes(b, "little") for b in (hashlib.sha512(signature[:32] + key + message).digest(), signature[32:]))
    return s < L and times(s, point(b"\x58" + b"\x66" * 31)) == add(point(signature[:32]), times(h % L, point(key)))
def line(fields=""):
    raw = export.readline(); thing = json.loads(raw.decode())
    need(raw == canonical(thing) + b"\n" and (not fields or sorted(thing) == fields.split()), "it is missing or not written as it must be")
    return raw, thing

export, trusted, keys, marks, times_of, place = open(sys.argv[1], "rb"), set(sys.argv[2:]), {}, {}, [], "manifest"
try:
    raw, it = line("checkpoints exportedAt firstAt firstSeq keys lastAt lastHash lastSeq prevHash rowCount tenantId type")
    payload, first, last, before, tenant = hashlib.sha256(raw), it["firstSeq"], it["lastSeq"], it["prevHash"], it["tenantId"]
    need(it["type"] == "studio-brain-audit-export/1" and first >= 1 and it["rowCount"] == last - first + 1 >= 0, "it counts other rows than it names")
    hashes = all(re.fullmatch("[0-9a-f]{64}", h) for h in (before, it["lastHash"])) and (first > 1 or before == "0" * 64)
    need(hashes and re.fullmatch("[a-z0-9][a-z0-9._-]{0,63}", tenant), "its hashes or its tenant are none")
    for key in it["keys"]:
        named, by = sha256(bytes.fromhex(key["publicKey"]))[:16] == key["keyId"], keys.get(key["endorsedBy"])
        need(sorted(key) == ["endorsedBy", "keyId", "publicKey", "signature", "type"] and key["type"] == "studio-brain-audit-key/1" and named, "a key is none")
        need(signed(key, by) if by else key["endorsedBy"] is key["signature"] is None, "a key is not endorsed by the one that it names")
        keys[key["keyId"]] = key["publicKey"]; trusted |= {key["publicKey"]} if by in trusted else set()
    for mark in it["checkpoints"]:
        here = [mark["type"], mark["tenantId"]] == ["studio-brain-audit-checkpoint/1", tenant] and first <= mark["seq"] <= last
        need(here and signed(mark, keys[mark["keyId"]]), "a checkpoint is not what was signed")
        marks[mark["seq"]] = mark["hash"]
    for seq in range(first, last + 1):
        place = f"row {seq}"; raw, row = line()
        claimed, follows = row.pop("hash"), row["seq"] == seq and row["tenantId"] == tenant and row["prevHash"] == before
        need(follows and claimed == sha256(canonical(row)) == marks.get(seq, claimed), "it is changed, missing, or in the wrong place")
        payload.update(raw); times_of.append(row["at"]); del times_of[1:-1]; before = claimed
    place = f"row {last}"; need(before == it["lastHash"], "it is not the row that the chain ends with")
    place = "manifest"; need((times_of or [None])[0] == it["firstAt"] and (times_of or [None])[-1] == it["lastAt"], "its times are not those of its rows")
    place = "seal"; seal = line("keyId payloadHash signature type")[1]
    need(seal["type"] == "studio-brain-audit-seal/1" and seal["payloadHash"] == payload.hexdigest() and not export.read(1), "what it covers was changed")
    need(signed(seal, keys[seal["keyId"]]) if seal["keyId"] else seal["signature"] is None, "its signature is not right")
    need(not sys.argv[2:] or keys.get(seal["keyId"]) in trusted, "it is not signed by a key that is trusted")
    print(f"verified: rows {first} to {last} of tenant {tenant}" + ("" if sys.argv[2:] else "; signatures were not checked against a trusted key"))
except Exception as why:
    sys.exit(f"NOT VERIFIED at {place}: {why}")
