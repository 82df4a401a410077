"""rawhttp.py - an HTTP client over a bare socket, for requests that no decent client would send."""
import json
import socket


class Response:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)

    def header(self, name):
        return self.headers.get(name.lower())


class Closed(Exception):
    """The other side has closed the connection before a complete response."""


class Connection:
    def __init__(self, gateway, timeout=60):
        self.host, self.port = gateway.address
        self.token = gateway.token
        self.socket = socket.create_connection((self.host, self.port), timeout=timeout)
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def request(self, method, path, body=b"", headers=(), token=True, length=True):
        """The bytes of a request."""
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self.host}:{self.port}"]
        if token:
            lines.append(f"X-Auth-Token: {self.token}")
        if length and (body or method == "POST"):
            lines.append(f"Content-Length: {len(body)}")
        lines += list(headers)
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body

    def ask(self, method, path, body=b"", **options):
        self.send(self.request(method, path, body, **options))
        return self.response(head=method == "HEAD")

    def post(self, path, document, **options):
        return self.ask("POST", path, json.dumps(document).encode(), **options)

    def _more(self):
        try:
            data = self.socket.recv(65536)
        except ConnectionResetError:
            data = b""
        if not data:
            raise Closed(self.buffer)
        self.buffer += data

    def _until(self, mark):
        while mark not in self.buffer:
            self._more()
        found, _, self.buffer = self.buffer.partition(mark)
        return found

    def _exactly(self, n):
        while len(self.buffer) < n:
            self._more()
        found, self.buffer = self.buffer[:n], self.buffer[n:]
        return found

    def response(self, head=False):
        """Reads one response; interim ones (1xx) are returned too."""
        lines = self._until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        status = int(lines[0].split()[1])
        headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
        if head or status < 200 or status in (204, 304):
            return Response(status, headers, b"")
        if headers.get("transfer-encoding", "").lower() == "chunked":
            return Response(status, headers, self._chunks())
        if "content-length" in headers:
            return Response(status, headers, self._exactly(int(headers["content-length"])))
        return Response(status, headers, self.closed())

    def _chunks(self):
        body = b""
        while True:
            size = int(self._until(b"\r\n").split(b";")[0], 16)
            body += self._exactly(size)
            self._exactly(2)
            if size == 0:
                return body

    def closed(self):
        """Reads on until the other side closes, and returns what came."""
        try:
            while True:
                self._more()
        except Closed:
            rest, self.buffer = self.buffer, b""
            return rest
