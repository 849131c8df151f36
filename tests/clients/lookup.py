"""Asks Python's resolver, which is the platform's getaddrinfo and gethostbyaddr.

Reads questions, `TYPE NAME` a line, and prints `TYPE NAME ANSWER`, tab-separated, in the normal form of ask.sh.
`lookup.py peers NAME PORT` plays the application of scenario S6 for a language without SRV in its library: it looks up
the addresses of NAME and the name of each, fetches /data from every name and prints `- name: data`. `lookup.py srv NAME`
does that by the SRV records of NAME, with dnspython (python3-dnspython); exit code 3 says that it is not there.
"""

import socket
import sys
import urllib.request

PATIENCE = 3
FAMILIES = {"A": socket.AF_INET, "AAAA": socket.AF_INET6}
NOT_FOUND = {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)}
HOST_NOT_FOUND = {1, 4}  # h_errno's HOST_NOT_FOUND and NO_DATA, which socket has no names for


def addresses(name, family):
    """Each address once, as getaddrinfo orders them."""
    found = socket.getaddrinfo(name, None, family, socket.SOCK_STREAM)
    return [sockaddr[0] for *_, sockaddr in found]


def ask(qtype, name):
    """The answer in normal form. Python does not tell NXDOMAIN from NODATA dependably."""
    try:
        if qtype == "PTR":
            return socket.gethostbyaddr(name)[0] + "."
        return " ".join(sorted(addresses(name, FAMILIES[qtype])))
    except socket.gaierror as error:
        return "NONE" if error.errno in NOT_FOUND else f"ERROR: {error}"
    except socket.herror as error:
        return "NONE" if error.errno in HOST_NOT_FOUND else f"ERROR: {error}"


def print_data(peer, port):
    with urllib.request.urlopen(f"http://{peer}:{port}/data", timeout=PATIENCE) as response:
        print(f"- {peer}.: {response.read().decode().strip()}")


def print_peers(name, port):
    for address in addresses(name, socket.AF_INET):
        print_data(socket.gethostbyaddr(address)[0], port)


def print_srv_peers(name):
    try:
        import dns.resolver
    except ModuleNotFoundError:
        sys.exit(3)
    for srv in dns.resolver.resolve(name, "SRV", lifetime=PATIENCE):
        print_data(srv.target.to_text(omit_final_dot=True), srv.port)


def main():
    if sys.argv[1:2] == ["peers"]:
        print_peers(sys.argv[2], sys.argv[3])
        return
    if sys.argv[1:2] == ["srv"]:
        print_srv_peers(sys.argv[2])
        return
    for question in sys.stdin:
        qtype, name = question.split()
        print(qtype, name, ask(qtype, name), sep="\t")


if __name__ == "__main__":
    main()
