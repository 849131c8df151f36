"""Stands between a client and a server, changes nothing, and writes down which messages have EDNS and Extended DNS Errors.

wire.py LISTEN PORT SERVER-PORT LOG: what comes over UDP and TCP to LISTEN:PORT goes to 127.0.0.1:SERVER-PORT. A line an
exchange: `TYPE NAME edns|plain RCODE RECORDS CODES`; CODES are those of RFC 8914 with commas, `-` without one.
"""

import socket
import struct
import sys
import threading

PATIENCE = 5
TYPES = {1: "A", 5: "CNAME", 12: "PTR", 16: "TXT", 28: "AAAA", 33: "SRV"}
OPT = 41
EXTENDED_ERROR = 15


def name_at(message, at):
    """The name at an offset, and where it ends."""
    labels = []
    while True:
        length = message[at]
        if length >= 0xC0:
            return ".".join(labels) + ".", at + 2
        at += 1
        if length == 0:
            return ".".join(labels) + ".", at
        labels.append(message[at : at + length].decode("ascii", "replace"))
        at += length


def read(message):
    """Question, code, number of answers, and the OPT record's octets, None without one."""
    _, flags, questions, *counts = struct.unpack_from("!6H", message)
    at, qname, qtype = 12, "?", 0
    for _ in range(questions):
        qname, at = name_at(message, at)
        (qtype,) = struct.unpack_from("!H", message, at)
        at += 4
    options = None
    for _ in range(sum(counts)):
        _, at = name_at(message, at)
        rtype, _, _, length = struct.unpack_from("!HHIH", message, at)
        at += 10
        if rtype == OPT:
            options = message[at : at + length]
        at += length
    assert at == len(message), "octets behind the last record"
    return f"{TYPES.get(qtype, qtype)} {qname.lower()}", flags & 15, counts[0], options


def errors(options):
    """The codes of the Extended DNS Errors."""
    at, codes = 0, []
    while at < len(options or b""):
        code, length = struct.unpack_from("!HH", options, at)
        at += 4
        if code == EXTENDED_ERROR:
            codes.append(str(struct.unpack_from("!H", options, at)[0]))
        at += length
    return codes


class Wire:
    """The way to the server, and the log."""

    def __init__(self, server, log):
        self.server, self.log, self.lock = server, log, threading.Lock()

    def note(self, query, reply):
        question, _, _, asked = read(query)
        _, code, records, options = read(reply)
        edns = "plain" if asked is None else "edns"
        assert (options is None) == (asked is None), "EDNS in one of the two only"
        with self.lock:
            print(question, edns, code, records, ",".join(errors(options)) or "-", file=self.log, flush=True)

    def datagram(self, near, query, client):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as far:
            far.settimeout(PATIENCE)
            far.connect(self.server)
            far.send(query)
            reply = far.recv(65535)
        # First the note: who has the answer may look for it at once.
        self.note(query, reply)
        near.sendto(reply, client)

    def connection(self, near):
        with near, socket.create_connection(self.server, PATIENCE) as far:
            near.settimeout(PATIENCE)
            while query := framed(near):
                far.sendall(struct.pack("!H", len(query)) + query)
                reply = framed(far)
                self.note(query, reply)
                near.sendall(struct.pack("!H", len(reply)) + reply)


def framed(stream):
    """The next message of a connection, None at its end."""
    head = exactly(stream, 2)
    return exactly(stream, struct.unpack("!H", head)[0]) if head else None


def exactly(stream, length):
    octets = b""
    while len(octets) < length:
        more = stream.recv(length - len(octets))
        if not more:
            return None
        octets += more
    return octets


def main():
    listen, port, server, log = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    with open(log, "a", encoding="ascii") as file:
        wire = Wire(("127.0.0.1", server), file)
        datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        datagrams.bind((listen, port))
        connections = socket.create_server((listen, port))

        def accept():
            while True:
                near, _ = connections.accept()
                threading.Thread(target=wire.connection, args=(near,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        print("ready", flush=True)
        while True:
            query, client = datagrams.recvfrom(65535)
            threading.Thread(target=wire.datagram, args=(datagrams, query, client), daemon=True).start()


if __name__ == "__main__":
    main()
