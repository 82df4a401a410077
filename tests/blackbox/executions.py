"""executions.py - a session of /v1 as the tests of executions use it, and its events."""
import contextlib
import json
import uuid


class Events:
    """The events of a response that is being streamed: (id, name, data), in order."""

    def __init__(self, response):
        self.response = response
        self.chunks = response.iter_bytes()
        self.buffer = b""
        self.comments = 0

    def __iter__(self):
        for chunk in self.chunks:
            self.buffer += chunk
            while b"\n\n" in self.buffer:
                block, _, self.buffer = self.buffer.partition(b"\n\n")
                if block.startswith(b":"):
                    self.comments += 1
                    continue
                fields = dict(line.split(": ", 1) for line in block.decode().split("\n"))
                assert set(fields) == {"id", "event", "data"}, fields
                yield int(fields["id"]), fields["event"], json.loads(fields["data"])
        assert self.buffer == b"", self.buffer


class Session:
    """One of the gateway's, by any client."""

    def __init__(self, gateway, **body):
        self.gateway = gateway
        self.id = "t-" + uuid.uuid4().hex
        made = self.client.post("/v1/sessions", json={"user_uuid": self.id, **body})
        assert made.status_code == 201, made.text
        self.path = f"/v1/sessions/{self.id}"

    @property
    def client(self):
        """The gateway's, which has another after each start."""
        return self.gateway.client

    def post(self, code, headers=None, **body):
        return self.client.post(f"{self.path}/executions", json={"code": code, **body}, headers=headers)

    def run(self, code, **body):
        """Runs it to its end: the answer."""
        answer = self.post(code, **body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def ok(self, code, **body):
        answer = self.run(code, **body)
        assert answer["status"] == "ok", answer
        return answer

    def begin(self, code, **body):
        """Runs it in the background: its id."""
        answer = self.post(code, background=True, **body)
        assert answer.status_code == 202, answer.text
        assert answer.headers["location"] == f"{self.path}/executions/{answer.json()['id']}"
        return answer.json()["id"]

    def get(self, execution, status=200):
        answer = self.client.get(f"{self.path}/executions/{execution}")
        assert answer.status_code == status, answer.text
        return answer.json()

    def do(self, execution, verb, status, **body):
        answer = self.client.post(f"{self.path}/executions/{execution}/{verb}", json=body)
        assert answer.status_code == status, answer.text
        return answer.json()

    def ask(self, verb, status=200, **body):
        answer = self.client.post(f"{self.path}/{verb}", json=body)
        assert answer.status_code == status, answer.text
        return answer.json()

    @contextlib.contextmanager
    def stream(self, code, **body):
        """Events as they come."""
        with self.client.stream("POST", f"{self.path}/executions", json={"code": code, "stream": True, **body}) as response:
            assert response.status_code == 200, response.read()
            assert response.headers["content-type"] == "text/event-stream"
            self.location = response.headers["location"]
            yield Events(response)

    @contextlib.contextmanager
    def follow(self, execution, after=None):
        headers = {"Accept": "text/event-stream", **({} if after is None else {"Last-Event-ID": str(after)})}
        with self.client.stream("GET", f"{self.path}/executions/{execution}", headers=headers) as response:
            assert response.status_code == 200, response.read()
            yield Events(response)

    def printed(self, execution):
        """Waits until it has printed something: an interrupt hits the code, not what comes before it."""
        with self.follow(execution) as events:
            next(one for one in events if one[1] == "stdout")

    def close(self):
        if self.gateway.alive():
            self.gateway.release(self.id)
