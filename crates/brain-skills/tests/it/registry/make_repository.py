"""Makes a registry with python-tuf, and one copy of it for each thing that can go wrong with one.

Usage: make_repository.py OUT. OUT/root.json is the root to pin; each other entry is a registry. All documents are made
for readers whose clock says 2030-01-01.
"""

import copy
import hashlib
import json
import os
import sys
from datetime import datetime, timedelta, timezone

from securesystemslib._vendor.ed25519 import ed25519
from securesystemslib.formats import encode_canonical
from securesystemslib.signer import Key, Signature, Signer, SSlibKey
from tuf.api.metadata import (
    DelegatedRole, Delegations, Metadata, MetaFile, Role, Root, Snapshot, TargetFile, Targets, Timestamp,
)
from tuf.api.serialization.json import CanonicalJSONSerializer

NOW = datetime(2030, 1, 1, tzinfo=timezone.utc)
OUT = sys.argv[1]
ORDER = ed25519.l


class Secret(Signer):
    """An Ed25519 key, by securesystemslib's own implementation."""

    def __init__(self, name, **extra):
        self.seed = hashlib.sha256(name.encode()).digest()
        self.bytes = ed25519.publickey_unsafe(self.seed)
        keyval = {"public": self.bytes.hex()}
        described = {"keytype": "ed25519", "scheme": "ed25519", "keyval": keyval, **extra}
        keyid = hashlib.sha256(encode_canonical(described).encode()).hexdigest()
        self.key = SSlibKey(keyid, "ed25519", "ed25519", keyval, extra)

    @property
    def public_key(self) -> Key:
        return self.key

    @classmethod
    def from_priv_key_uri(cls, *_):
        raise NotImplementedError

    def sign(self, payload):
        return Signature(self.key.keyid, ed25519.signature_unsafe(payload, self.seed, self.bytes).hex())


KEYS = {name: Secret(name) for name in ["r1", "r2", "r3", "r4", "r5", "t1", "t2", "s1", "s2", "m1", "m2", "a1", "a2", "g1"]}
TREE = "sha256:" + hashlib.sha256(b"tree").hexdigest()


def days(count):
    return NOW + timedelta(days=count)


class Repository:
    def __init__(self):
        self.root = Root(version=1, expires=days(365), consistent_snapshot=True)
        for role, names, threshold in [
            ("root", ["r1", "r2", "r3"], 2), ("targets", ["t1"], 1), ("snapshot", ["s1"], 1), ("timestamp", ["m1"], 1),
        ]:
            self.root.roles[role] = Role([], threshold)
            for name in names:
                self.root.add_key(KEYS[name].key, role)
        self.targets = Targets(version=1, expires=days(180), targets={})
        self.targets.delegations = Delegations({}, {})
        self.publishers = {}
        self.signers = {"root": ["r1", "r2"], "targets": ["t1"], "snapshot": ["s1"], "timestamp": ["m1"]}
        for name, key in [("acme", "a1"), ("globex", "g1")]:
            self.targets.delegations.roles[name] = DelegatedRole(name, [], 1, True, paths=[f"{name}-*/*"])
            self.targets.add_key(KEYS[key].key, name)
            self.publishers[name] = Targets(version=1, expires=days(180), targets={})
            self.signers[name] = [key]
        self.snapshot = Snapshot(version=1, expires=days(7))
        self.timestamp = Timestamp(version=1, expires=days(1))
        self.history = {}  # by name: bytes
        self.files = {}
        for publisher, skill in [("acme", "acme-mail/1.0.0"), ("globex", "globex-tool/1.0.0"), ("globex", "globex-bad/1.0.0")]:
            self.publish(publisher, skill)
        revoked = {"format": 1, "revoked": [
            {"reference": "globex-bad@1.0.0", "reason": "it reads secrets", "time": "2029-12-31T00:00:00Z"}]}
        self.target(self.targets, "revoked.json", json.dumps(revoked).encode(), None)

    def target(self, role, path, data, tree):
        target = TargetFile.from_data(path, data, ["sha256"])
        if tree:
            target.unrecognized_fields["custom"] = {"treeDigest": tree}
        role.targets[path] = target
        folder, _, name = path.rpartition("/")
        self.files[os.path.join(folder, f"{target.hashes['sha256']}.{name}")] = data

    def publish(self, publisher, skill):
        self.target(self.publishers[publisher], f"{skill}.tar.gz", f"archive of {skill}".encode(), TREE)

    def sign(self, role, content):
        metadata = Metadata(content)
        for name in self.signers[role]:
            metadata.sign(KEYS[name], append=True)
        return metadata

    def state(self, root_too=True):
        """Signs everything that is at its version now, and keeps it in the history."""
        snapshot = {"targets.json": MetaFile(self.targets.version)}
        snapshot.update({f"{name}.json": MetaFile(role.version) for name, role in self.publishers.items()})
        self.snapshot.meta = snapshot
        self.timestamp.snapshot_meta = MetaFile(self.snapshot.version)
        if root_too:
            self.put("root", self.root)
        self.put("targets", self.targets)
        for name, role in self.publishers.items():
            self.put(name, role)
        self.put("snapshot", self.snapshot)
        self.put("timestamp", self.timestamp)
        return self

    def put(self, role, content):
        self.history[self.file(role, content.version)] = self.sign(role, content).to_bytes()

    @staticmethod
    def file(role, version):
        return "timestamp.json" if role == "timestamp" else f"{version}.{role}.json"

    def next(self, *roles):
        """The next version of these roles, of snapshot and of timestamp."""
        for role in roles:
            self.content(role).version += 1
        self.snapshot.version += 1
        self.timestamp.version += 1
        return self

    def content(self, role):
        return self.publishers.get(role) or getattr(self, role)

    def copy(self):
        return copy.deepcopy(self)

    def write(self, variant):
        for folder, files in [("metadata", self.history), ("targets", self.files)]:
            for name, data in files.items():
                path = os.path.join(OUT, variant, folder, name)
                os.makedirs(os.path.dirname(path), exist_ok=True)
                with open(path, "wb") as file:
                    file.write(data)


def edited(data, edit):
    value = json.loads(data)
    edit(value)
    return json.dumps(value).encode()


good = Repository().state()
os.makedirs(OUT, exist_ok=True)
with open(os.path.join(OUT, "root.json"), "wb") as file:
    file.write(good.history["1.root.json"])
good.write("good")
later = good.copy().next("targets", "acme")
later.publish("acme", "acme-mail/1.1.0")
later.state().write("later")

# Age.
for role in ["timestamp", "snapshot", "targets", "acme", "root"]:
    old = good.copy()
    old.next(*([role] if role in ("targets", "acme", "root") else []))
    old.content(role).expires = days(-1)
    old.state().write(f"expired-{role}")

first = good.copy().next("targets")
first.targets.expires, first.timestamp.expires = days(3), days(6)
first.state().write("targets-expire-first")

# Going back, after "later" was read.
back = later.copy().next()
back.snapshot.version, back.timestamp.snapshot_meta = 1, MetaFile(1)
back.put("timestamp", back.timestamp)
back.write("rollback-snapshot")
for role in ["targets", "acme"]:
    back = later.copy().next()
    back.snapshot.meta[f"{role}.json"] = MetaFile(1)
    back.timestamp.snapshot_meta = MetaFile(back.snapshot.version)
    back.put("snapshot", back.snapshot)
    back.put("timestamp", back.timestamp)
    back.write(f"rollback-{role}")
back = later.copy().next()
del back.snapshot.meta["acme.json"]
back.timestamp.snapshot_meta = MetaFile(back.snapshot.version)
back.put("snapshot", back.snapshot)
back.put("timestamp", back.timestamp)
back.write("rollback-forgotten")

# Mixing states.
for name, new, old in [
    ("snapshot", "2.snapshot.json", "1.snapshot.json"),
    ("targets", "2.targets.json", "1.targets.json"),
    ("acme", "2.acme.json", "1.acme.json"),
]:
    mixed = later.copy()
    mixed.history[new] = mixed.history[old]
    mixed.write(f"mixed-{name}")
hashed = later.copy()
data = hashed.history["2.snapshot.json"]
hashed.timestamp.snapshot_meta = MetaFile(2, len(data), {"sha256": hashlib.sha256(data).hexdigest()})
hashed.put("timestamp", hashed.timestamp)
hashed.write("hashed")
hashed.history["2.snapshot.json"] = data.replace(b"{", b"{ ", 1)
hashed.write("mixed-hash")
gone = later.copy()
del gone.history["2.acme.json"]
gone.write("gone-acme")


# Roots.
def root(variant, signers, change=lambda root: None, then=lambda new: None):
    new = good.copy().next("root")
    change(new.root)
    new.signers["root"] = signers
    then(new)
    new.state()
    new.write(variant)
    return new


def swap(role, old, new):
    def change(root):
        root.revoke_key(KEYS[old].key.keyid, role)
        root.add_key(KEYS[new].key, role)
    return change


def new_root_keys(root):
    swap("root", "r1", "r4")(root)
    swap("root", "r2", "r5")(root)


def rotate_all(root):
    swap("root", "r3", "r4")(root)
    swap("timestamp", "m1", "m2")(root)
    swap("snapshot", "s1", "s2")(root)
    swap("targets", "t1", "t2")(root)


def new_signers(new):
    new.signers.update(timestamp=["m2"], snapshot=["s2"], targets=["t2"])
    new.targets.version += 1


root("rotated", ["r1", "r2"], rotate_all, new_signers)
root("root-one-of-two", ["r1"])
root("root-new-quorum-only", ["r4", "r5"], new_root_keys)
root("root-old-quorum-only", ["r1", "r2"], new_root_keys)
root("root-both-quorums", ["r1", "r2", "r4", "r5"], new_root_keys)
root("revoked-targets-key", ["r1", "r2"], swap("targets", "t1", "t2"))
skipped = good.copy().next("root")
skipped.root.version = 3
skipped.state()
skipped.history["2.root.json"] = skipped.history.pop("3.root.json")
skipped.write("root-skips")
twice = root("root-key-twice", ["r1"])
twice.history["2.root.json"] = edited(
    twice.history["2.root.json"], lambda value: value["signatures"].append(value["signatures"][0]))
twice.write("root-key-twice")
ALIAS = Secret("t1", note="the same key in another dress")
KEYS["t1-alias"] = ALIAS


def alias(root):
    root.add_key(ALIAS.key, "targets")
    root.roles["targets"].threshold = 2


root("root-key-alias", ["r1", "r2"], alias, lambda new: new.signers.update(targets=["t1", "t1-alias"]))


def forge(root):
    key = copy.deepcopy(KEYS["m2"].key)
    key.keyid = KEYS["m1"].key.keyid
    root.keys[key.keyid] = key


root("forged-key-id", ["r1", "r2"], forge)
far = good.copy()
far.timestamp.version = far.snapshot.version = 100000
far.state().write("far")

# Publishers.
stray = good.copy().next("globex")
stray.target(stray.publishers["globex"], "acme-mail/9.9.9.tar.gz", b"evil", TREE)
stray.target(stray.publishers["globex"], "revoked.json", b"{}", None)
stray.state().write("stray")
revoked = later.copy().next("targets", "acme")
revoked.targets.revoke_key(KEYS["a1"].key.keyid, "acme")
revoked.targets.add_key(KEYS["a2"].key, "acme")
revoked.state().write("revoked-publisher-key")
revoked.signers["acme"] = ["a2"]
revoked.next("acme").state().write("rotated-publisher-key")
KEYS["a1-alias"] = Secret("a1", note="the same key in another dress")
double = later.copy().next("targets", "acme")
double.targets.add_key(KEYS["a1-alias"].key, "acme")
double.targets.delegations.roles["acme"].threshold = 2
double.signers["acme"] = ["a1", "a1-alias"]
double.state().write("publisher-key-alias")
several = later.copy().next("targets", "acme")
several.targets.add_key(KEYS["a2"].key, "acme")
several.targets.delegations.roles["acme"].threshold = 2
several.state().write("publisher-one-of-two")
several.signers["acme"] = ["a1", "a2"]
several.next("acme").state().write("publisher-two-of-two")

# Signatures and types.
swapped = good.copy().next()
swapped.state()
content = copy.deepcopy(swapped.snapshot)
content.meta = {"snapshot.json": MetaFile(2)}
swapped.signers["snapshot"] = ["m1"]
swapped.history["timestamp.json"] = swapped.sign("snapshot", content).to_bytes()
swapped.write("swapped-type")


def malleable(value):
    signature = bytes.fromhex(value["signatures"][0]["sig"])
    added = int.from_bytes(signature[32:], "little") + ORDER
    value["signatures"][0]["sig"] = (signature[:32] + added.to_bytes(32, "little")).hex()


bent = good.copy()
bent.history["timestamp.json"] = edited(bent.history["timestamp.json"], malleable)
bent.write("malleable")
message = CanonicalJSONSerializer().serialize(good.timestamp)
signature = bytes.fromhex(json.loads(bent.history["timestamp.json"])["signatures"][0]["sig"])
# A verifier that is not strict takes it: otherwise this would show nothing.
ed25519.checkvalid(signature, message, KEYS["m1"].bytes)
unsigned = good.copy()
unsigned.history["timestamp.json"] = edited(unsigned.history["timestamp.json"], lambda value: value.update(signatures=[]))
unsigned.write("unsigned")
changed = good.copy()
changed.history["timestamp.json"] = edited(
    changed.history["timestamp.json"], lambda value: value["signed"].update(version=9))
changed.write("changed")


class Weak(Secret):
    """The point of order one: with it, one signature is valid for every message."""

    def __init__(self):
        super().__init__("weak")
        self.bytes = (1).to_bytes(32, "little")
        described = {"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": self.bytes.hex()}}
        keyid = hashlib.sha256(encode_canonical(described).encode()).hexdigest()
        self.key = SSlibKey(keyid, "ed25519", "ed25519", described["keyval"])

    def sign(self, payload):
        signature = self.bytes + bytes(32)
        ed25519.checkvalid(signature, payload, self.bytes)
        return Signature(self.key.keyid, signature.hex())


KEYS["weak"] = Weak()
root("small-order", ["r1", "r2"], swap("timestamp", "m1", "weak"), lambda new: new.signers.update(timestamp=["weak"]))
doubled = good.copy()
doubled.history["timestamp.json"] = doubled.history["timestamp.json"].replace(b'"version"', b'"version": 7, "version"', 1)
doubled.write("duplicate-json-key")

# Sizes.
for variant, file in [("timestamp", "timestamp.json"), ("root", "2.root.json"), ("snapshot", "1.snapshot.json"),
                      ("targets", "1.targets.json"), ("acme", "1.acme.json")]:
    endless = good.copy()
    endless.history[file] = good.history.get(file, good.history["1.root.json"]) + b" " * (5 << 20)
    endless.write(f"endless-{variant}")
for variant, edit in [("longer", lambda data: data + b"x"), ("altered", lambda data: data.replace(b"archive", b"virusii")),
                      ("shorter", lambda data: data[:-1])]:
    wrong = good.copy()
    wrong.files = {name: edit(data) if "acme-mail" in name else data for name, data in wrong.files.items()}
    wrong.write(f"archive-{variant}")
wrong = good.copy()
wrong.files = {name: data.replace(b"reads", b"wants") if "revoked" in name else data for name, data in wrong.files.items()}
wrong.write("altered-revocations")
