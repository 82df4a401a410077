"""test_output.py - attacks by output: floods, and bytes that somebody further on might stumble over."""
import json

import harness
from arena import attack
from harness import eventually

LIMIT = 2**20  # the gateway's, of an execution
ANSWER = 3 * LIMIT  # bytes of an answer, with the escapes of JSON

# Signs and publishes whatever it is given, from the kernel's own process.
FORGE = """
import hashlib, hmac, json, time
from ipykernel.kernelapp import IPKernelApp
app = IPKernelApp.instance()
thread = app.iopub_thread
parent = json.dumps(app.kernel.get_parent()['header'], default=str).encode()
def frames(kind, content, parent=parent, metadata=b'{}', key=app.session.key, more=()):
    header = json.dumps({'msg_id': 'x', 'session': 's', 'username': 'u', 'date': 'd', 'msg_type': kind, 'version': '5.3'}).encode()
    parts = [header, parent, metadata, content]
    return [b'<IDS|MSG>', hmac.new(key, b''.join(parts), hashlib.sha256).hexdigest().encode(), *parts, *more]
def publish(f): thread.schedule(lambda: thread.socket.send_multipart(f))
def reply(f): app.kernel.shell_stream.socket.send_multipart([b'tci'] + f)
"""


def flood(arena, code, timeout=3):
    """Endless output: ends at a limit, with the bystander served and the gateway small; the session is usable again."""
    answer = arena.bystander_during(arena.start(code, timeout))
    assert answer.status_code in (200, 503, 504), answer.text[:500]
    assert len(answer.content) < ANSWER
    assert arena.gateway.execute(arena.user, "1").status_code == 200
    return answer


@attack("output", "makes the gateway hold what is printed without end", runsc=True)
def test_flood_of_bytes(arena):
    flood(arena, "while True: os.write(1, b'x' * 65536)")


@attack("output", "makes the gateway handle messages without end", runsc=True)
def test_flood_of_messages(arena):
    flood(arena, "while True: print(1, flush=True)")


@attack("output", "makes the gateway hold one line of 200 MB", runsc=True)
def test_one_long_line(arena):
    answer = flood(arena, "for _ in range(200): os.write(1, b'y' * (1 << 20))", timeout=20)
    if answer.status_code == 200:
        assert answer.json()["truncated"] is True


@attack("output", "slows others down by a million small prints", runsc=True)
def test_a_million_prints(arena):
    answer = flood(arena, "for i in range(1_000_000): print(i)", timeout=20)
    if answer.status_code == 200:
        assert answer.json()["truncated"] is True
        assert answer.json()["result_text"].startswith("0\n1\n2\n")


@attack("output", "makes the gateway hold displayed objects without end", runsc=True)
def test_endless_display_data(arena):
    flood(arena, "from IPython.display import display\nwhile True: display({'text/plain': 'x' * 1000, 'image/png': 'A' * 10000}, raw=True)")


@attack("output", "goes on writing between executions, when nobody counts", runsc=True)
def test_flood_between_executions(arena):
    arena.gateway.ok(arena.user, """
import os, threading
run = True
def talk():
    while run: os.write(1, b'z' * 65536); print('noise' * 1000)
for _ in range(3): threading.Thread(target=talk, daemon=True).start()""")
    count = 'tci_link_messages_total{direction="in"}'
    before = arena.gateway.metrics()[count]
    eventually(lambda: arena.gateway.metrics()[count] > before + 3, 30, "some of it comes to the gateway")
    assert arena.ask_bystander() < 5 * harness.slack()
    assert arena.gateway.execute(arena.user, "run = False", timeout=15).status_code in (200, 503, 504)


@attack("output", "floods by status messages, which are never cut off", runsc=True)
def test_flood_of_status_messages(arena):
    for size in (10, 1 << 20):
        code = FORGE + f"f = frames('status', json.dumps({{'execution_state': 'busy', 'x': 'y' * {size}}}).encode())\n" \
                       "while True: publish(f); time.sleep(0.0005)"
        flood(arena, code, timeout=4)


@attack("output", "floods by replies, which are never cut off", runsc=True)
def test_flood_of_replies(arena):
    code = FORGE + "f = frames('execute_reply', b'{\"x\":\"' + b'y' * 60000 + b'\"}', parent=b'{\"msg_id\":\"other\"}')\n" \
                   "while True: reply(f)"
    flood(arena, code, timeout=4)


@attack("output", "sends one message whose buffers the gateway cannot hold", runsc=True)
def test_a_huge_message(arena):
    code = FORGE + "publish(frames('display_data', b'{\"data\":{},\"metadata\":{}}', more=[b'z' * (8 << 20)] * 10))\n" \
                   "publish(frames('status', b'{\"execution_state\":\"busy\"}', more=[b'z' * (8 << 20)] * 10))\ntime.sleep(2)"
    flood(arena, code, timeout=6)


@attack("messages", "has bytes that are no UTF-8 break the answer's JSON", runsc=True)
def test_invalid_utf8(arena):
    answer = arena.gateway.run(arena.user, r"""
import os, sys
for b in (b'\xff\xfe', b'\xc0\xaf', b'\xed\xa0\x80', b'\xf5\x80\x80\x80', b'\x80' * 100, b'\xe2\x82', bytes(range(256))): os.write(1, b + b'|\n')
sys.stdout.flush()
print('end')""")
    assert "end\n" in answer["result_text"]
    arena.gateway.run(arena.user, FORGE + r"""
for b in (b'\xff', b'\xc0\xaf', b'\xed\xa0\x80', b'\x00', b'\\u0000', b'\\ud800'):
    publish(frames('stream', b'{"name":"stdout","text":"' + b + b'"}'))
    publish(frames('\udcff'.encode('utf-8', 'surrogateescape').decode('latin-1'), b'{"' + b + b'":1}'))
time.sleep(0.3)""")
    assert arena.gateway.text(arena.user, "print('ok')") == "ok\n"


@attack("messages", "has lone surrogates break the answer's JSON or the session", runsc=True)
def test_lone_surrogates(arena):
    for code in (r"print('\ud800 \udfff \udcff')", r"'\ud800'", r"raise ValueError('\udcff')", r"class X(Exception): pass" "\n" r"X.__name__ = 'A\ud800'; raise X('\ud800')",
                 r"from IPython.display import display; display({'text/plain': '\ud800', '\ud800': 'x'}, raw=True)"):
        answer = arena.gateway.execute(arena.user, code)
        assert answer.status_code == 200
        json.loads(answer.content.decode("utf-8", "strict")).get("result_text")
        answer.content.decode("utf-8", "strict").encode("utf-8", "strict")
    assert arena.gateway.text(arena.user, "print('ok')") == "ok\n"


@attack("messages", "crashes the gateway's reader by numbers that are none, or by nested JSON", runsc=True)
def test_numbers_and_nesting(arena):
    answer = arena.gateway.execute(arena.user, FORGE + r"""
for c in (b'{"data":{"text/plain":NaN,"a":Infinity,"b":-Infinity,"c":1e999999,"d":-0.0,"e":123456789012345678901234567890},"metadata":{}}',
          b'[' * 500_000, b'{"a":' * 150_000, b'{"data":' * 511 + b'1' + b'}' * 511, b'[' * 400_000 + b']' * 400_000,
          b'{"data":{"text/plain":{"a":' + b'[' * 100_000 + b']' * 100_000 + b'}}}', b'', b'{', b'nul', b'{"a":1}{"b":2}', b'"' + b'\\' * 99_999):
    publish(frames('display_data', c)); publish(frames('stream', c)); publish(frames('error', c)); publish(frames('status', c))
    publish(frames('display_data', b'{}', metadata=c)); publish(frames('display_data', b'{}', parent=c))
time.sleep(1)
print('end')""", timeout=15)
    assert answer.status_code in (200, 503), answer.text[:300]
    json.loads(answer.content)
    assert arena.gateway.text(arena.user, "print('ok')") == "ok\n"


@attack("messages", "makes a hundred bytes of the gateway's memory out of each byte of JSON", runsc=True)
def test_json_of_nothing(arena):
    for piece in ("{},", "[],", "0,", '"":0,', "[[]],"):
        opening, closing = ("{", "}") if ":" in piece else ("[", "]")
        code = FORGE + f"c = b'{{\"data\":{{\"text/plain\":\"x\",\"application/json\":{opening}' + b'{piece}' * (900_000 // {len(piece)}) + b'{piece.rstrip(',')}{closing}}},\"metadata\":{{}}}}'\n" \
                       "publish(frames('display_data', c)); time.sleep(0.2)"
        answer = arena.bystander_during(arena.start(code, timeout=10))
        assert answer.status_code == 200, answer.text[:300]


@attack("messages", "writes into the operator's log or terminal, by control characters", runsc=True)
def test_terminal_escapes(arena):
    answer = arena.gateway.run(arena.user, r"""
import os, sys
evil = '\x1b]0;owned\x07\x1b[2J\x1b[31mtci-attack\x1b[0m\r\n2026-01-01T00:00:00.000Z error forged tci-attack line\x9b31m\u202e'
print(evil); sys.stderr.write(evil); os.write(2, evil.encode()); os.write(1, evil.encode())
raise ValueError(evil)""")
    assert "tci-attack" in answer["result_text"]  # the user's own answer has it, as data
    arena.gateway.execute(arena.user, "import os\nos.write(2, b'\\x1b[31mtci-attack\\nfatal: tci-attack\\n'); os._exit(3)")
    with arena.gateway.new_client() as client:
        client.get("/%1b%5b31mtci-attack%0d%0aerror", headers={"X-Auth-Token": "tci-attack\tx"})
        client.post("/execute", json={"user_uuid": "\x1b[31mtci-attack\n", "code": "1", "tci-attack\x1b\n": 1})
    log = arena.gateway.log()
    assert "tci-attack" not in log and "\x1b" not in log and "\x9b" not in log
