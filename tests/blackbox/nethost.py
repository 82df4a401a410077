"""nethost.py - the hosts of nets.py: a DNS server and web servers in a network namespace of their own.

    ip netns exec NAME python3 nethost.py DIRECTORY

names.json in the directory says what a name's addresses are: {"name": ["192.0.2.1", ...]}; a list of lists is one answer
after the other, the last one for ever; null: no answer at all.  Each question is a line of `questions`, "A name", each
request that a web server got a line of JSON in `requests`.  HTTP is on 80 and 8080, HTTPS on 443 with cert.pem and key.pem;
on 8081 some megabytes of a connection are read, and then nothing more.  Writes the file `ready`.
"""
import http.server
import ipaddress
import json
import os
import socket
import ssl
import struct
import sys
import threading
import time
import urllib.parse

DIRECTORY = sys.argv[1]
TYPES = {1: "A", 28: "AAAA"}
EAGER_BYTES = 4 << 20
lock = threading.Lock()
asked = {}
held = []


def note(name, line):
    with lock, open(os.path.join(DIRECTORY, name), "a") as f:
        f.write(line + "\n")


def addresses_of(name, kind):
    """None: the name is to be left without an answer."""
    with open(os.path.join(DIRECTORY, "names.json")) as f:
        found = json.load(f).get(name, [])
    if found and isinstance(found[0], list):
        n = asked[name, kind] = asked.get((name, kind), 0) + 1
        found = found[min(n, len(found)) - 1]
    if found is None:
        return None
    return [a for a in map(ipaddress.ip_address, found) if (a.version == 4) == (kind == "A")]


def answer(query):
    name, at = [], 12
    while query[at]:
        name.append(query[at + 1:at + 1 + query[at]].decode().lower())
        at += 1 + query[at]
    question = query[12:at + 5]
    kind = TYPES.get(struct.unpack("!H", query[at + 1:at + 3])[0], "?")
    name = ".".join(name)
    note("questions", f"{kind} {name}")
    found = addresses_of(name, kind)
    if found is None:
        return None
    records = b"".join(b"\xc0\x0c" + question[-4:] + struct.pack("!IH", 0, len(a.packed)) + a.packed for a in found)
    code = 0 if found else 3
    return query[:2] + struct.pack("!HHHHH", 0x8180 | code, 1, len(found), 0, 0) + question + records


def serve_names():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("0.0.0.0", 53))
    while True:
        query, peer = s.recvfrom(2000)
        data = answer(query)
        if data:
            s.sendto(data, peer)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        note("requests", json.dumps({"line": self.requestline, "headers": self.headers.items(), "body": body.decode(),
                                     "port": self.server.server_port}))
        url = urllib.parse.urlsplit(self.path)
        time.sleep(int(urllib.parse.parse_qs(url.query).get("ms", ["0"])[0]) / 1000)
        if self.path.startswith("/big/"):
            self.send_bytes(int(self.path.split("/")[2]))
        elif self.path.startswith("/to/"):
            self.redirect(urllib.parse.unquote(self.path[4:]))
        elif self.path.startswith("/slow/"):
            self.drip(int(self.path.split("/")[2]))
        else:
            self.reply(json.dumps({"path": self.path, "host": self.headers.get("Host"), "body": body.decode()}).encode())

    do_POST = do_GET

    def head(self, size):
        self.send_response(200)
        self.send_header("Content-Length", str(size))
        self.end_headers()

    def reply(self, body):
        self.head(len(body))
        self.wfile.write(body)

    def redirect(self, url):
        self.send_response(302)
        self.send_header("Location", url)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def send_bytes(self, size):
        self.head(size)
        block = b"x" * 65536
        while size > 0:
            self.wfile.write(block[:size])
            size -= len(block)

    def drip(self, n):
        self.head(n)
        for _ in range(n):
            self.wfile.write(b"x")
            time.sleep(0.1)


class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *_):
        pass  # clients that leave


def serve_web(port, tls=None):
    server = Server(("::", port), Handler)
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()


def take_some(connection):
    """As long as it is quick the system makes buffers larger on both sides; then they fill up."""
    for _ in range(EAGER_BYTES // 65536):
        if not connection.recv(65536, socket.MSG_WAITALL):
            connection.close()
            return
    held.append(connection)


def serve_sink(port):
    listener = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=128)
    while True:
        threading.Thread(target=take_some, args=(listener.accept()[0],), daemon=True).start()


def main():
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(os.path.join(DIRECTORY, "cert.pem"), os.path.join(DIRECTORY, "key.pem"))
    serve_web(80)
    serve_web(8080)
    serve_web(443, tls)
    threading.Thread(target=serve_names, daemon=True).start()
    threading.Thread(target=serve_sink, args=(8081,), daemon=True).start()
    note("ready", "yes")
    threading.Event().wait()


main()
