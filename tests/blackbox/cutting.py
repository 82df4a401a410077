"""cutting.py - a relay of TCP that cuts what goes through it, between a client and a gateway."""
import select
import socket
import threading
import time


class Relay:
    """Passes bytes on between its clients and the gateway.  cut_after(n): the bytes of the gateway after which the n-th connection is
    cut, None: never.  Cut is with a reset, as a broken line is.  rate: bytes a second, None: as many as come."""

    def __init__(self, gateway, cut_after, rate=None):
        self.to = gateway.address
        self.cut_after = cut_after
        self.rate = rate
        self.count = self.cuts = 0
        self.open = True
        self.answers = threading.Event()  # clear: what the gateway says is kept back
        self.answers.set()
        self.listener = socket.create_server(("127.0.0.1", 0))
        if rate:
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
        self.url = "http://127.0.0.1:%d" % self.listener.getsockname()[1]
        self.lock = threading.Lock()
        self.alive = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            with self.lock:
                number, self.count = self.count, self.count + 1
            threading.Thread(target=self._serve, args=(client, number), daemon=True).start()

    def _serve(self, client, number):
        if not self.open:
            self._reset(client)
            return
        server = socket.create_connection(self.to)
        self.alive.append((client, server))
        if not self.open:  # closed since: whoever cuts all may not have seen this one
            self._reset(client)
            server.close()
            return
        limit, passed = self.cut_after(number), 0
        try:
            while True:
                for one in select.select([client, server], [], [])[0]:
                    data = one.recv(65536)
                    if not data:
                        return
                    if one is server:
                        self.answers.wait()
                    if self.rate:
                        time.sleep(len(data) / self.rate)
                    (server if one is client else client).sendall(data if one is client or limit is None else data[:limit - passed])
                    passed += len(data) if one is server else 0
                    if limit is not None and passed >= limit:
                        self.cuts += 1
                        return
        except OSError:
            pass
        finally:
            self._reset(client)
            server.close()

    @staticmethod
    def _reset(connection):
        try:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        connection.close()

    def cut_all(self):
        for client, server in list(self.alive):
            for one in (client, server):
                try:
                    one.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def close(self):
        self.listener.close()
        self.answers.set()
        self.cut_all()
