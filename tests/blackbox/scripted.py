"""scripted.py - a server of HTTP that answers the terminal client as a test says, and not as a gateway would."""
import json
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SESSION = {"id": "s", "language": "python", "kernel": "python3"}


class _Handler(BaseHTTPRequestHandler):
    def _serve(self):
        length = int(self.headers.get("Content-Length") or 0)
        self.text = self.rfile.read(length).decode()
        self.close_connection = True
        self.server.take(self)

    do_GET = do_POST = do_DELETE = _serve

    def log_message(self, *_):
        pass

    def reply(self, status, body):
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def begin_events(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()

    def event(self, number, name, **data):
        self.wfile.write(f"id: {number}\nevent: {name}\ndata: {json.dumps(data)}\n\n".encode())


class Scripted(ThreadingHTTPServer):
    """answer(request, n): replies to the n-th request of its method and path, from 0 on, or does not, which is a cut.  Sessions are
    made and deleted without it.  certificate: paths of that and its key, for TLS."""

    daemon_threads = True

    def __init__(self, answer, certificate=None):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer = answer
        self.seen = []  # "METHOD path", in order
        self.lock = threading.Lock()
        self.scheme = "http"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            context.set_alpn_protocols(["h2", "http/1.1"])
            self.socket = context.wrap_socket(self.socket, server_side=True)
            self.scheme = "https"
        self.url = f"{self.scheme}://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def take(self, request):
        name = f"{request.command} {request.path}"
        with self.lock:
            n = self.seen.count(name)
            self.seen.append(name)
        if name == "POST /v1/sessions":
            request.reply(200, SESSION)
        elif name == "DELETE /v1/sessions/s":
            request.reply(200, {})
        else:
            self.answer(request, n)

    def handle_error(self, *_):
        pass  # the client has gone

    def close(self):
        self.shutdown()
        self.server_close()
