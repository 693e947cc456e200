"""Reads a registry with python-tuf's client, over HTTP, and prints every skill and what was revoked.

Usage: read_repository.py REGISTRY ROOT CACHE. CACHE is kept between runs, as a client's trusted metadata is.
"""

import os
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

from tuf.ngclient import Updater


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


registry, root, cache = sys.argv[1:]
server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=registry))
threading.Thread(target=server.serve_forever, daemon=True).start()
base = f"http://127.0.0.1:{server.server_port}"
os.makedirs(os.path.join(cache, "targets"), exist_ok=True)
with open(root, "rb") as file:
    pinned = file.read()
updater = Updater(os.path.join(cache, "metadata"), f"{base}/metadata/", os.path.join(cache, "targets"),
                  f"{base}/targets/", bootstrap=pinned)
updater.refresh()
# Every file below targets, by the name that it has without its digest.
for folder, _, files in os.walk(os.path.join(registry, "targets")):
    for file in files:
        name = os.path.normpath(os.path.join(os.path.relpath(folder, os.path.join(registry, "targets")),
                                             file.split(".", 1)[1]))
        target = updater.get_targetinfo(name)
        if target is None:
            continue
        with open(updater.download_target(target), "rb") as data:
            print(f"{name}: {data.read().decode()}")
server.shutdown()
