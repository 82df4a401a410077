"""test_framing.py - where one request ends and the next one begins, for methods that have no body."""
import pytest

from rawhttp import Connection


@pytest.mark.parametrize("method, path", [("GET", "/status"), ("HEAD", "/status"), ("DELETE", "/v1/sessions/nobody"), ("OPTIONS", "/execute")])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_is_no_request(gateway, method, path, chunked):
    """A proxy would take the answer to it for that to somebody else's request."""
    with Connection(gateway) as c:
        inner = c.request("GET", "/healthz")
        header = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(inner)}"
        c.send(c.request(method, path, headers=[header]) + (b"%x\r\n" % len(inner) + inner + b"\r\n0\r\n\r\n" if chunked else inner))
        answer = c.response(head=method == "HEAD")
        assert answer.status == 400 and answer.header("connection") == "close"
        assert c.closed() == b""


def test_no_body_by_its_length(gateway):
    with Connection(gateway) as c:
        for _ in range(2):
            assert c.ask("GET", "/healthz", headers=["Content-Length: 0"]).status == 200
