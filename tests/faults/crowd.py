"""crowd.py - the users of the fault harness.  Each computes with a state of their own and knows what every answer must be.

A session that was lost may be told in three ways: an answer that says `restarted`, a 503 or a 504 whose detail says that
the environment is gone (the next answer must then say `restarted`).  After a connection that broke, and after an error that
says nothing of the environment, the last request may or may not have run: the user looks at the state, which must be the
one before it or the one after it.  Everything else is a wrong answer.

Some users have their sums done by a host in a network, through the proxy.  What fails there is told to their code, which then
leaves the state as it is and says so.

`me`, which every answer shows, is different for each session of each user, so somebody else's state is seen, and one's
own of an earlier session, too.
"""
import collections
import http.client
import json
import os
import random
import re
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "blackbox"))
from tested import eventually  # noqa: E402

ANSWER_LIMIT = 90   # seconds, for any answer; the gateway has a clock of its own for each wait
THINK = (0.1, 0.4)  # seconds between an answer and the next request
RETRY = 0.1         # seconds, after a connection that broke
CHURN = 0.004       # how likely the next thing that a user does is to release the session
MODULUS = 1000003

# Details of 503 and 504 that say that the environment is gone.
LOSS = re.compile(r"The worker (was killed|exited|gave up|died|ran out|lost its link|was not ready)"
                  r"|The worker's container (was killed|exited|ended)|the worker cannot be reached"
                  r"|.*environment has been recycled")


class Number:
    setup = "x = {0}"
    look = "x"

    def first(self, dice):
        return dice.randint(2, 999)

    def next(self, dice, x):
        k = dice.randint(2, 999)
        return (f"x += {k}", x + k) if dice.random() < 0.5 else (f"x = x * {k} % {MODULUS}", x * k % MODULUS)


class List:
    setup = "values = [{0[1]}]"
    look = "(len(values), sum(values))"

    def first(self, dice):
        return 1, dice.randint(1, 9999)

    def next(self, dice, state):
        k = dice.randint(1, 9999)
        return f"values.append({k})", (state[0] + 1, state[1] + k)


class Array:
    setup = "import numpy as np\nv = np.array({0})"
    look = "v.tolist()"

    def first(self, dice):
        return [dice.randint(1, 9999) for _ in range(4)]

    def next(self, dice, v):
        k = dice.randint(2, 999)
        return f"v = v * {k} % {MODULUS}", [n * k % MODULUS for n in v]


class File:
    setup = "import os\nwith open('/workspace/mine', 'w') as f: print(f.write('x' * {0}), end='')\nprint()"
    look = "os.path.getsize('/workspace/mine')"

    def first(self, dice):
        return dice.randint(1, 99)

    def next(self, dice, size):
        k = dice.randint(1, 99)
        return f"with open('/workspace/mine', 'a') as f: _ = f.write('y' * {k})", size + k

    def said(self, state):  # by the setup
        return f"{state}\n"


class Web:
    """The host repeats the number that it is asked for, and takes its time."""

    network = "allowlist"
    setup = """
import http.client, json, urllib.request
def ask(n):
    global x
    try:
        with urllib.request.urlopen(f'http://one.test/{{n}}?ms=300', timeout=20) as answer:
            x = int(json.load(answer)['path'][1:].partition('?')[0])
    except (OSError, http.client.HTTPException) as e:
        print('without the network:', type(e).__name__, e)
x = {0}"""
    look = "x"

    def first(self, dice):
        return dice.randint(2, 999)

    def next(self, dice, x):
        k = dice.randint(2, 999)
        return f"ask(x + {k})", x + k


SCENARIOS = [Number(), List(), Array(), File(), Web()]
OFFLINE = re.compile(r"without the network: (.*)\n")


class Verdict:
    """What happened, counted; and what must not have, with a line each.  `rule` is the fault of the moment, or None."""

    def __init__(self):
        self.lock = threading.Lock()
        self.rule = None
        self.counts = collections.Counter()      # requests, answers, connections that broke, ...
        self.documented = collections.Counter()  # (fault, kind)
        self.wrong = []
        self.undocumented = []

    def count(self, what):
        with self.lock:
            self.counts[what] += 1

    def say(self, lines, user, text):
        with self.lock:
            fault = self.rule.name if self.rule else "none"
            lines.append(f"{time.strftime('%H:%M:%S')} fault {fault}: {user}: {text}")

    def wrong_answer(self, user, text):
        self.say(self.wrong, user, text)

    def error(self, user, kind, detail):
        """An error, or a loss that was told.  Whether it may be is in the table of the fault of the moment."""
        with self.lock:
            label = self.rule.permits(user, kind, detail) if self.rule else None
            if label:
                self.documented[(self.rule.name, label)] += 1
        if not label:
            self.say(self.undocumented, user, f"{kind} {detail}")


class User(threading.Thread):
    def __init__(self, crowd, number):
        super().__init__(name=f"user-{number}", daemon=True)
        self.crowd = crowd
        self.verdict = crowd.verdict
        self.dice = random.Random(f"{crowd.seed}-{number}")
        self.scenario = SCENARIOS[number % len(SCENARIOS)]
        self.incarnation = 0
        self.possible = None       # states the session may be in; None: it must be set up
        self.told_lost = "no"      # "yes": the next answer must say `restarted`; "maybe": it may have been said already
        self.fresh = "yes"         # whether a session that is to be set up must be clean: "yes", or "unknown"
        self.connection = None
        self.release_now = threading.Event()
        self.reconnect_now = threading.Event()
        self.limit = None          # seconds of running time that each request asks for
        self.right_since = 0.0     # when the request was sent whose right answer came last

    # --- HTTP

    def call(self, path, body):
        """Status and answer; None when the connection broke."""
        try:
            if self.connection is None:
                self.connection = http.client.HTTPConnection(self.crowd.address, timeout=ANSWER_LIMIT)
            self.connection.request("POST", path, json.dumps(body), {"X-Auth-Token": self.crowd.token,
                                                                     "Content-Type": "application/json"})
            answer = self.connection.getresponse()
            status, text = answer.status, answer.read()
            if answer.getheader("Connection") == "close":
                self.hang_up()
            return status, json.loads(text)
        except TimeoutError:
            self.verdict.wrong_answer(self.name, f"no answer to {path} within {ANSWER_LIMIT} s")
        except (OSError, http.client.HTTPException) as e:
            self.verdict.count("connections broken")
            self.verdict.error(self.name, "connection", f"{type(e).__name__}: {e}")
        self.hang_up()
        return None

    def hang_up(self):
        if self.connection:
            self.connection.close()
        self.connection = None

    # --- the state

    def me(self):
        return f"{self.name}.{self.incarnation}"

    def show(self, state):
        return f"{self.me()} {state}\n"

    def start_anew(self, fresh):
        self.possible = None
        self.fresh = fresh
        self.incarnation += 1

    def request(self):
        """Code, and the state each possible one becomes by it."""
        if self.possible is None:
            state = self.scenario.first(self.dice)
            code = f"print('me' in globals())\nme = '{self.me()}'\n" + self.scenario.setup.format(state)
            return code, [state]
        if len(self.possible) > 1:
            return f"print(me, {self.scenario.look})", self.possible
        code, state = self.scenario.next(self.dice, self.possible[0])
        return f"{code}\nprint(me, {self.scenario.look})", [state]

    def right_texts(self, states, restarted):
        """What the answer may be → the states that are then possible."""
        if self.possible is not None:
            return {self.show(state): [state] for state in states}
        said = self.scenario.said(states[0]) if hasattr(self.scenario, "said") else ""
        texts = {f"False\n{said}": states}
        if self.fresh == "unknown" and not restarted:
            texts[f"True\n{said}"] = states
        return texts

    def on_restarted(self, code, answer):
        """A clean session: nothing of ours may be there."""
        self.verdict.count("losses told")
        if self.told_lost == "no":
            self.verdict.error(self.name, "restarted", "")
        if self.possible is None:
            return True  # it is just being set up
        if not answer["error"] or answer["error"]["ename"] not in ("NameError", "FileNotFoundError"):
            self.verdict.wrong_answer(self.name, f"restarted, but {code!r} was answered by {answer!r}")
        self.start_anew("yes")
        return False

    def on_answer(self, code, states, answer, sent):
        offline = OFFLINE.match(answer["result_text"])
        if offline and self.possible is not None:
            self.verdict.error(self.name, "egress", offline[1])
            answer = {**answer, "result_text": answer["result_text"][offline.end():]}
            states = self.possible
        goes_on = True
        if answer["restarted"]:
            goes_on = self.on_restarted(code, answer)
        elif self.told_lost == "yes":
            self.verdict.wrong_answer(self.name, f"a loss was told, but the next answer is not restarted: {answer!r}")
        self.told_lost = "no"
        if not goes_on:
            return
        texts = self.right_texts(states, answer["restarted"])
        if answer["error"] or answer["result_text"] not in texts:
            self.verdict.wrong_answer(self.name, f"{code!r} was answered by {answer!r}, not {sorted(texts)!r}")
            self.start_anew("unknown")
            return
        self.possible = texts[answer["result_text"]]
        self.right_since = self.right_since if offline else sent
        self.verdict.count("right answers without the network" if offline else "right answers")

    def on_error(self, status, answer, states):
        detail = answer.get("detail", "")
        self.verdict.count(f"answers {status}")
        self.verdict.error(self.name, str(status), detail)
        if status in (503, 504) and LOSS.match(detail):
            self.told_lost = "yes"
            self.start_anew("yes")
        else:
            self.doubt(states)

    def doubt(self, states):
        """The request may or may not have run."""
        if self.possible is None:
            self.start_anew("unknown")
        else:
            self.possible = self.possible + [s for s in states if s not in self.possible]

    def execute(self):
        code, states = self.request()
        sent = time.monotonic()
        self.verdict.count("requests")
        limit = {"timeout": self.limit} if self.limit else {}
        network = {"network": self.scenario.network} if hasattr(self.scenario, "network") else {}
        result = self.call("/execute", {"user_uuid": self.name, "code": code, **limit, **network})
        if result is None:
            self.told_lost = "no" if self.told_lost == "no" else "maybe"
            self.doubt(states)
            time.sleep(RETRY)
        elif result[0] == 200:
            self.on_answer(code, states, result[1], sent)
        else:
            self.on_error(*result, states)

    def release(self):
        self.verdict.count("releases")
        result = self.call("/release", {"user_uuid": self.name})
        if result is not None and result[0] != 200:
            self.verdict.error(self.name, str(result[0]), result[1].get("detail", ""))
        done = result is not None and result[0] == 200
        # What was released is not said to be lost.
        self.told_lost = "no" if done or self.told_lost == "no" else "maybe"
        self.start_anew("yes" if done else "unknown")

    # --- life

    def turn(self):
        if self.reconnect_now.is_set():
            self.reconnect_now.clear()
            self.hang_up()
        if self.release_now.is_set() or (self.crowd.churn.is_set() and self.dice.random() < CHURN):
            self.release_now.clear()
            self.release()
        self.execute()

    def run(self):
        while not self.crowd.ending.wait(self.dice.uniform(*THINK)):
            try:
                self.turn()
            except Exception as e:  # a fault of the harness itself must not pass for silence
                self.verdict.wrong_answer(self.name, f"the harness failed: {type(e).__name__}: {e}")
                self.hang_up()
        self.hang_up()


class Crowd:
    def __init__(self, n, seed, address, token):
        self.seed = seed
        self.address = address  # host:port
        self.token = token
        self.verdict = Verdict()
        self.ending = threading.Event()
        self.churn = threading.Event()
        self.users = [User(self, i) for i in range(n)]

    def start(self):
        """One after the other: nobody is to wait for a worker for long before there is any fault."""
        self.churn.set()
        for user in self.users:
            user.start()
            eventually(lambda one=user: one.right_since > 0, 120, "each user's first right answer")

    def stop(self):
        self.ending.set()
        for user in self.users:
            user.join(2 * ANSWER_LIMIT)

    def all_right_since(self, moment):
        """Whether everybody has had a right answer to a request sent after that moment."""
        return all(user.right_since > moment for user in self.users)
