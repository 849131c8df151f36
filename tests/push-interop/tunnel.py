#!/usr/bin/env python3
"""tunnel.py FROM TO CA NAME: takes TCP connections at FROM (ADDRESS:PORT) and carries them over TLS to TO, whose certificate
has to be for NAME and of the authority CA. For clients of DNS Push that have no TLS of their own."""

import socket
import ssl
import sys
import threading


def address(text):
    host, _, port = text.rpartition(":")
    return host, int(port)


def carry(source, sink):
    try:
        while octets := source.recv(65536):
            sink.sendall(octets)
    except OSError:
        pass
    for end in (source, sink):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def main():
    listening, to, authority, name = sys.argv[1:]
    context = ssl.create_default_context(cafile=authority)
    context.set_alpn_protocols(["dot"])
    with socket.create_server(address(listening)) as server:
        print("listening", flush=True)
        while True:
            plain, _ = server.accept()
            try:
                tls = context.wrap_socket(socket.create_connection(address(to)), server_hostname=name)
            except OSError as error:
                print("no connection:", error, flush=True)
                plain.close()
                continue
            print("connected", tls.version(), flush=True)
            for pair in ((plain, tls), (tls, plain)):
                threading.Thread(target=carry, args=pair, daemon=True).start()


main()
