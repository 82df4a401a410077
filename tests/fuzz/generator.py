"""generator.py - requests for every operation of web/openapi.json: valid, nearly valid, and broken.

A Generator draws everything from its dice, so that a seed says what is sent.  Schemas say what is valid; names of fields say
which of the valid values are worth sending: code that does something, sessions that are there.
"""
import base64
import dataclasses
import io
import json
import random
import tarfile
import zipfile

import openapi

METHODS = ("get", "put", "post", "delete", "patch")

CODE = [
    "1 + 1", "x = 41\nx + 1", "print('hello')", "1/0", "def f(:", "", "#", "raise SystemExit(3)", "'\\ud800'",
    "import os; os._exit(7)", "import time; time.sleep(0.2)", "while True: pass", "print('x' * 300000)",
    "for i in range(3000): print(i)", "input('? ')", "import sys; print(sys.stdin.read())",
    "from IPython.display import *\ndisplay(HTML('<b>x</b>'), display_id='d')\nclear_output()",
    "import sys; print('e', file=sys.stderr); {'a': [1, None, 'ä']}", "float('nan')", "[float('inf')]", "'🙂' * 1000",
    "open('/workspace/made', 'wb').write(b'x' * 1000000)", "import os; os.makedirs('deep/er/down', exist_ok=True)",
    "import os; os.symlink('/etc/passwd', 'link')", "import os; os.mkfifo('fifo')",
    "import signal, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\ntime.sleep(1)",
    "import threading, time\nthreading.Thread(target=lambda: (time.sleep(0.5), print('late'))).start()",
    "import subprocess; subprocess.run(['sh', '-c', 'echo out; echo err >&2; exit 2'])",
    "class C:\n    def __repr__(self): raise ValueError('r')\nC()",
    "import sys; sys.stdout.buffer.write(b'\\xff\\xfe\\n')", "%timeit", "!ls", "?print", "exit()", "bytearray(3 << 30)",
]
NAMES = ["a", "made", "deep", "deep/er", "deep/er/down/there", "link", "fifo", "ä/🙂", "data.csv", "x" * 255]
ODD_TEXTS = ["", " ", "\0", "a\0b", "\ud800", "🙂" * 50, "../../etc/passwd", "/etc/passwd", "..", ".", "a//b", "%s%n", "'\";--",
             "\u202eabc", "\ufeff", "\r\nX-More: 1", "A" * 300, "B" * 70000, "nul", "-1", "1e999", "true"]
ODD_VALUES = [None, True, False, 0, -1, 1, 1.5, -0.0, 1e-320, 1e308, 2**31, 2**53 + 1, 2**63, -2**63 - 1, 10**40, "", "x", [], {},
              [[]], {"": {}}, [None] * 300]
ODD_PARTS = [b"", b"%2F", b"a%2Fb", b"..", b"%2e%2e", b"%00", b"%", b"%zz", b"%C3%A4", b"%ff", b"\xff\xfe", b"x" * 129, b"x" * 5000,
             b"%F0%9F%99%82", b"a%20b", b"a;b", b"a+b", b"*", b"files:archive", b"executions", b"%2e", b"@", b"null"]
ODD_QUERIES = [b"=", b"&&", b"a=b", b"limit", b"limit=1&limit=2", b"%zz=1", b"key=0123456789ab", b"key=", b"path=%2e%2e", b"path=%00",
               b"cursor=99999999999999999999999", b"x" * 3000, b"recursive=maybe", b"\xff=\xfe", b"path=a&path=b"]
ODD_HEADERS = ["Range: bytes=0-", "Range: bytes=5-1", "Range: bytes=-1", "Range: bytes=0-1,3-4", "Range: bytes=99999999999999999999-",
               "Range: lines=1", 'If-Match: *', 'If-Match: "x"', "If-None-Match: *", 'If-None-Match: W/"a", "b', "If-Range: yesterday",
               "Accept: text/event-stream", "Accept: " + "x" * 2000, "Content-Encoding: gzip", "X-Request-Id: a b", "X-Request-Id: ok.1",
               "X-Request-Id: " + "y" * 129, "Origin: http://example.org", "Last-Event-ID: -1", "Last-Event-ID: 99999999999999999999",
               "Last-Event-ID: 0", "Idempotency-Key: " + "k" * 300, "Idempotency-Key: \xe4", "Cookie: a=b", "Content-Type: text/plain",
               "Content-Type: multipart/form-data", "Content-Type: multipart/form-data; boundary=", "Expect: 100-continue",
               "Authorization: Bearer nobody", "X-Auth-Token: wrong", "Connection: close", "Content-Type: application/json; charset=utf-16"]


@dataclasses.dataclass(frozen=True)
class Operation:
    method: str
    path: str     # as in the document
    said: dict = dataclasses.field(hash=False, compare=False)
    parameters: tuple = dataclasses.field(hash=False, compare=False)

    def __str__(self):
        return f"{self.method} {self.path}"


@dataclasses.dataclass
class Request:
    operation: Operation
    method: str
    target: bytes
    headers: list
    body: bytes         # None: it has none
    chunked: bool = False
    missing: int = 0    # bytes of the body that are announced and never sent

    def path(self):
        return self.target.partition(b"?")[0]

    def head(self, host):
        headers = [f"Host: {host}", *self.headers]
        if self.body is not None:
            headers.append("Transfer-Encoding: chunked" if self.chunked else f"Content-Length: {len(self.body) + self.missing}")
        return self.method.encode() + b" " + self.target + b" HTTP/1.1\r\n" + \
            "".join(h + "\r\n" for h in headers).encode("latin-1") + b"\r\n"

    def payload(self):
        if self.body and self.chunked:
            return b"%x\r\n" % len(self.body) + self.body + b"\r\n" + (b"" if self.missing else b"0\r\n\r\n")
        return b"0\r\n\r\n" if self.chunked and not self.missing else self.body or b""

    def __str__(self):
        return f"{self.head('h').decode('latin-1')}{(self.body or b'')[:2000]!r}"


def operations():
    """All of the document."""
    found = []
    for path, item in openapi.document()["paths"].items():
        for method in METHODS:
            if method in item:
                said = item[method]
                parameters = [openapi.resolve(p) for p in item.get("parameters", []) + said.get("parameters", [])]
                found.append(Operation(method.upper(), path, said, tuple(parameters)))
    return found


class Values:
    """Valid values of schemas, by dice; known: what is there, by kind: "session", "execution", "cursor"."""

    OFTEN = {"user_uuid": 0.95, "kernel": 0.1, "language": 0.1, "limits": 0.1, "env": 0.1, "strategy": 0.15}  # else sessions would not meet

    def __init__(self, dice, known):
        self.dice, self.known = dice, known
        self.hints = {
            "code": lambda: dice.choice(CODE), "condition": lambda: dice.choice(["True", "x == 41", "1/0", "False"]),
            "user_uuid": self.session, "timeout": lambda: dice.choice([0.2, 1, 2, None]), "ttl": lambda: dice.choice([None] * 8 + [1, 30, 1e6]),
            "idle_timeout": lambda: dice.choice([None] * 8 + [1, 60]), "kernel": lambda: dice.choice(["python3", None]),
            "language": lambda: dice.choice(["python", None]), "path": lambda: dice.choice(NAMES), "from": lambda: dice.choice(NAMES),
            "to": lambda: dice.choice(NAMES), "content_base64": lambda: base64.b64encode(dice.randbytes(99)).decode(),
            "grace": lambda: dice.choice([0, 0.1, 1]), "cpu": lambda: dice.choice([0.5, 1, None]),
            "memory_mb": lambda: dice.choice([200, 500, None]), "disk_mb": lambda: dice.choice([10, None]),
            "pids": lambda: dice.choice([30, None]), "network": lambda: dice.choice(["none", None]),
            "strategy": lambda: dice.choice(["session"] * 6 + ["execution", "pool", None]),
            "reward": lambda: dice.choice([0, 1, -2.5]), "cursor_pos": lambda: dice.choice([0, 3, None]),
            "env": lambda: dice.choice([None, None, {}, {"A": "b"}, {"LONG": "v" * 3000}]),
            "cursor": lambda: dice.choice(self.known["cursor"]), "key": lambda: "0123456789ab", "Last-Event-ID": lambda: str(dice.randrange(9)),
            "eid": self.execution, "id": self.session, "Accept": lambda: dice.choice(["text/event-stream", "application/json", "*/*"]),
            "Idempotency-Key": lambda: dice.choice(["k1", "k2", dice.randbytes(8).hex()]),
        }

    def session(self):
        return self.dice.choice(self.known["session"])

    def execution(self):
        return self.dice.choice(self.known["execution"])

    def of(self, schema, name=""):
        """A valid value."""
        schema = openapi.resolve(schema)
        if name in self.hints and "properties" not in schema:
            return self.hints[name]()
        if "const" in schema or "enum" in schema:
            return self.dice.choice(schema.get("enum", [schema.get("const")]))
        if "properties" in schema:
            return self.object_of(schema)
        if "anyOf" in schema:
            return self.of(self.dice.choice(schema["anyOf"]), name)
        kinds = schema.get("type", "string")
        return getattr(self, "_" + (kinds if isinstance(kinds, str) else self.dice.choice(kinds)))(schema)

    def object_of(self, schema):
        required, without = set(schema.get("required", [])), set()
        if "oneOf" in schema:
            branches = [set(branch.get("required", [])) for branch in schema["oneOf"]]
            chosen = self.dice.choice(branches)
            required |= chosen
            without = set().union(*branches) - chosen
        return {name: self.of(said, name) for name, said in schema["properties"].items()
                if name in required or name not in without and self.dice.random() < self.OFTEN.get(name, 0.25)}

    def _string(self, schema):
        return self.dice.choice(["a", "one two", "ä🙂", "x" * 50])[:schema.get("maxLength", 99)]

    def _integer(self, schema):
        return self.dice.randint(schema.get("minimum", 0), min(schema.get("maximum", 99), 10**9))

    def _number(self, schema):
        return self.dice.choice([0.5, 1, 2.25]) if "exclusiveMinimum" in schema else schema.get("minimum", 0)

    def _boolean(self, _):
        return self.dice.random() < 0.5

    def _null(self, _):
        return None

    def _array(self, schema):
        return [self.of(schema.get("items", {})) for _ in range(self.dice.choice([0, 1, 2, 5]))]

    def _object(self, schema):
        more = schema.get("additionalProperties")
        return {self.dice.choice("abcd"): self.of(more) if isinstance(more, dict) else "x" for _ in range(self.dice.choice([0, 1, 3]))}


class Generator:
    """Requests; next() is one of any operation, `valid` one of a given one."""

    SHARE = {"DELETE /v1/sessions/{id}": 0.2, "POST /v1/sessions/{id}/restart": 0.2, "POST /v1/sessions": 3,
             "POST /v1/sessions/{id}/executions": 4}  # of others: 1

    def __init__(self, seed, token, known):
        self.dice = random.Random(seed)
        self.token = token
        self.values = Values(self.dice, known)
        self.operations = operations()
        self.weights = [self.SHARE.get(str(o), 1) for o in self.operations]

    def next(self):
        (operation,) = self.dice.choices(self.operations, self.weights)
        return self.request(operation, self.dice.choices([0, 1, 3], [45, 40, 15])[0])

    def request(self, operation, faults=0):
        """faults: how many things are wrong with it, about."""
        wrong = {self.dice.choice(["path", "query", "header", "body", "body", "body", "length", "method"]) for _ in range(faults)}
        method = operation.method
        if "method" in wrong:
            method = self.dice.choice(["GET", "HEAD", "PUT", "POST", "DELETE", "PATCH", "OPTIONS"])
        elif method == "GET" and self.dice.random() < 0.1:
            method = "HEAD"
        headers = self.headers(operation, "header" in wrong)
        kind, body = self.body(operation, "body" in wrong)
        if kind and not any(h.startswith("Content-Type") for h in headers):
            headers.append(f"Content-Type: {kind}")
        made = Request(operation, method, self.path(operation, "path" in wrong) + self.query(operation, "query" in wrong), headers, body)
        if body is not None:
            made.chunked = self.dice.random() < 0.1
            made.missing = self.dice.choice([1, 1000]) if "length" in wrong else 0
        return made

    # --- where to

    def path(self, operation, wrong):
        names = operation.path.count("{")
        odd = self.dice.randrange(names + 1) if wrong else -1  # one more: something behind
        parts, seen = [], 0
        for part in operation.path.split("/"):
            if part.startswith("{"):
                parts.append(self.dice.choice(ODD_PARTS) if seen == odd else self.part(part[1:-1]))
                seen += 1
            else:
                parts.append(part.encode())
        if odd == names:
            parts.append(self.dice.choice(ODD_PARTS))
        return b"/".join(parts)

    def part(self, name):
        text = str(self.values.of({"type": "string"}, name))
        slash = "%2F" if self.dice.random() < 0.1 else "/"
        return "".join(c if c.isalnum() and c.isascii() or c in "-_.:@" else slash if c == "/" and name == "path" else
                       "".join(f"%{b:02X}" for b in c.encode()) for c in text).encode()

    def query(self, operation, wrong):
        pairs = [f"{p['name']}={self.text_of(self.values.of(p['schema'], p['name']))}".encode() for p in operation.parameters
                 if p["in"] == "query" and self.dice.random() < (0.02 if p["name"] == "key" else 0.3)]
        if wrong:
            pairs.append(self.dice.choice(ODD_QUERIES))
        return b"?" + b"&".join(pairs) if pairs else b""

    @staticmethod
    def text_of(value):
        text = value if isinstance(value, str) else json.dumps(value)
        return "".join(c if c.isalnum() and c.isascii() or c in "-_.~/" else "".join(f"%{b:02X}" for b in c.encode()) for c in text)

    # --- what with

    def headers(self, operation, wrong):
        found = [f"{p['name']}: {self.values.of(p['schema'], p['name'])}" for p in operation.parameters
                 if p["in"] == "header" and self.dice.random() < 0.25]
        if wrong:
            found += self.dice.sample(ODD_HEADERS, self.dice.choice([1, 1, 2, 4]))
        if not any(h.startswith(("X-Auth-Token", "Authorization")) for h in found) and self.dice.random() < 0.995:
            found.append(f"X-Auth-Token: {self.token}")
        return found

    def body(self, operation, wrong):
        """(type, bytes)"""
        content = operation.said.get("requestBody", {}).get("content")
        if content is None:
            return (None, None) if not wrong else ("application/json", self.dice.choice([b"", b"{}", b"null", b"x" * 9000]))
        kind = self.dice.choice(list(content))
        if kind == "application/json":
            return kind, self.document(content[kind]["schema"], wrong)
        if kind.startswith("multipart/"):
            return self.form(wrong)
        return "application/octet-stream", self.file(operation, wrong)

    def document(self, schema, wrong):
        value = self.values.of(schema)
        if not wrong:
            return json.dumps(value).encode()
        for _ in range(self.dice.choice([1, 1, 1, 2, 5])):
            value = self.spoil(value)
        text = json.dumps(value, ensure_ascii=self.dice.random() < 0.7).encode("utf-8", "surrogatepass")
        return self.damage(text) if self.dice.random() < 0.25 else text

    def spoil(self, value):
        """The same with something wrong somewhere in it."""
        if isinstance(value, dict) and value and self.dice.random() < 0.8:
            name = self.dice.choice(list(value))
            how = self.dice.random()
            if how < 0.6:
                return {**value, name: self.spoil(value[name])}
            if how < 0.8:
                return {k: v for k, v in value.items() if k != name}
            return {**value, self.dice.choice(ODD_TEXTS): self.odd()}
        if isinstance(value, list) and value and self.dice.random() < 0.7:
            i = self.dice.randrange(len(value))
            one = self.spoil(value[i])
            return value[:i] + [one] * (250 if self.dice.random() < 0.3 and len(str(one)) < 100 else 1) + value[i + 1:]
        return self.odd()

    def odd(self):
        how = self.dice.random()
        if how < 0.45:
            return self.dice.choice(ODD_VALUES)
        if how < 0.9:
            return self.dice.choice(ODD_TEXTS)
        value = self.dice.choice(["deep", 1])
        for _ in range(self.dice.choice([3, 30, 600])):  # json.dumps cannot nest much more
            value = [value] if self.dice.random() < 0.5 else {"a": value}
        return value

    def damage(self, text):
        """JSON that is none."""
        at = self.dice.randrange(len(text) + 1)
        return self.dice.choice([
            text[:at], text[:at] + self.dice.randbytes(3) + text[at:], b"\xef\xbb\xbf" + text, text + b" x", b"", b"[" * 100000,
            text.replace(b":", b"=", 1), b'{"a": 1, "a": 2}', b'{"code": "1", "code": "2"}', b"NaN", b'{"timeout": NaN, "code": "1"}',
            b'{"code": "\\ud800"}', b'{"code": "\xff"}', b'{"code": "\\u0000"}', text.decode("utf-8", "replace").encode("utf-16"),
            b'{"timeout": 1e400, "code": ""}', b'{"timeout": -0e0, "code": ""}'])

    def form(self, wrong):
        boundary = "b" * self.dice.choice([1, 20, 70])
        parts = []
        for _ in range(self.dice.choice([0, 1, 3])):
            name, data = self.dice.choice(NAMES), self.dice.randbytes(self.dice.choice([0, 10, 70000]))
            field = self.dice.choice(["file", "path"]) if wrong else "file"
            quoted = name.replace('"', "%22").encode()
            parts.append(b"--" + boundary.encode() + b'\r\nContent-Disposition: form-data; name="' + field.encode() + b'"; filename="' +
                         quoted + b'"\r\n\r\n' + data + b"\r\n")
        body = b"".join(parts) + b"--" + boundary.encode() + b"--\r\n"
        kind = f"multipart/form-data; boundary={boundary}"
        if wrong:
            kind = self.dice.choice([kind, kind + "x", "multipart/form-data", 'multipart/form-data; boundary="' + boundary, "text/plain"])
            at = self.dice.randrange(len(body))
            body = self.dice.choice([body[:at], body[:at] + b"\r\n--" + body[at:], body, b""])
        return kind, body

    def file(self, operation, wrong):
        if not operation.path.endswith(":archive"):
            return self.dice.randbytes(self.dice.choice([0, 1, 1000, 100000, 700000]))
        data = self.archive(wrong)
        if wrong and data:
            at = self.dice.randrange(len(data))
            data = self.dice.choice([data[:at], data[:at] + self.dice.randbytes(20) + data[at + 20:], b"", self.dice.randbytes(999), data])
        return data

    def archive(self, wrong):
        """A tar or zip with a few members."""
        names = [self.dice.choice(NAMES) for _ in range(self.dice.choice([0, 1, 4]))]
        if wrong:
            names.append(self.dice.choice(["../out", "/abs", "a/../../b", "x/" * 200 + "y"]))
        out = io.BytesIO()
        if self.dice.random() < 0.5:
            with zipfile.ZipFile(out, "w") as z:
                for name in dict.fromkeys(names):
                    z.writestr(name, b"z" * 100)
            return out.getvalue()
        with tarfile.open(fileobj=out, mode=self.dice.choice(["w", "w:gz", "w:xz"])) as t:
            for name in names:
                info = tarfile.TarInfo(name)
                info.size = 50
                if wrong and self.dice.random() < 0.5:
                    info.type, info.linkname, info.size = self.dice.choice([tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE]), "/etc/passwd", 0
                t.addfile(info, io.BytesIO(b"t" * info.size))
        return out.getvalue()
