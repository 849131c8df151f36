"""An API server with a fixed cluster, for a rollcall that is to take a snapshot of it: lists, and watches that say nothing.

api.py OBJECTS: a List in JSON, as `kubectl get -A -o json` prints. Prints its port.
"""

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

KINDS = {
    "services": "Service",
    "endpointslices": "EndpointSlice",
    "statefulsets": "StatefulSet",
    "namespaces": "Namespace",
}
VERSION = "7"


class Api(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    objects = []

    def do_GET(self):
        url = urlsplit(self.path)
        kind = KINDS.get(url.path.rsplit("/", 1)[-1])
        asked = parse_qs(url.query)
        if kind is None:
            self.reply(404, {"kind": "Status", "apiVersion": "v1", "code": 404, "reason": "NotFound"})
        elif asked.get("watch", ["false"])[0] in ("true", "1"):
            self.watch(kind, "sendInitialEvents" in asked)
        else:
            items = [each for each in self.objects if each["kind"] == kind]
            self.reply(200, {"kind": f"{kind}List", "metadata": {"resourceVersion": VERSION}, "items": items})

    def reply(self, code, body):
        octets = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(octets)))
        self.end_headers()
        self.wfile.write(octets)

    def watch(self, kind, is_list):
        """A list as a stream where one is asked for; then nothing more, until the client goes."""
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        if is_list:
            for each in self.objects:
                if each["kind"] == kind:
                    self.event("ADDED", each)
            end = {"resourceVersion": VERSION, "annotations": {"k8s.io/initial-events-end": "true"}}
            self.event("BOOKMARK", {"kind": kind, "metadata": end})
        threading.Event().wait()

    def event(self, what, each):
        line = json.dumps({"type": what, "object": each}).encode() + b"\n"
        self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
        self.wfile.flush()

    def log_message(self, *_):
        """Says nothing."""


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        Api.objects = json.load(file)["items"]
    server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
