"""openapi.py - holds what the gateway answers under /v1 against web/openapi.json.

harness.Gateway's clients call check() with every response: a path, a status or a body that the document does not have fails
the test that asked.  Bodies that are not JSON are theirs who asked for them.
"""
import functools
import json
import os
import re

import jsonschema

SOURCE_DIR = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# What any request can be answered with, whatever its path: said once, in the document's description.
EVERYWHERE = {"404", "405"}


@functools.cache
def document():
    with open(os.path.join(SOURCE_DIR, "web", "openapi.json"), encoding="utf-8") as f:
        return json.load(f)


@functools.cache
def _patterns():
    """(pattern, path) of all paths, those without parameters first."""
    def pattern(path):
        parts = re.split(r"\{(\w+)\}", path)
        last = len(parts) - 2
        return re.compile("".join(re.escape(part) if i % 2 == 0 else ".*" if part == "path" and i == last else "[^/]+"
                                  for i, part in enumerate(parts)) + "$")
    return [(pattern(path), path) for path in sorted(document()["paths"], key=lambda p: (p.count("{"), p))]


def resolve(node):
    while "$ref" in node:
        target = document()
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        node = target
    return node


@functools.cache
def _validator(reference):
    root = document()
    schema = {"$ref": reference}
    return jsonschema.Draft202012Validator(schema, resolver=jsonschema.RefResolver("", root))


def validate(instance, schema):
    if "$ref" in schema and len(schema) == 1:
        _validator(schema["$ref"]).validate(instance)
    else:
        jsonschema.Draft202012Validator(schema, resolver=jsonschema.RefResolver("", document())).validate(instance)


def operation(method, path):
    """What the document says of it; None: it has no such path, or no such method there."""
    for pattern, name in _patterns():
        if pattern.match(path):
            return document()["paths"][name].get("get" if method == "HEAD" else method.lower())
    return None


def check(response):
    """An httpx.Response under /v1."""
    request = response.request
    path = request.url.raw_path.decode().partition("?")[0]
    if not path.startswith("/v1/") or request.method == "OPTIONS":
        return
    what = f"{request.method} {path}: {response.status_code}"
    assert re.fullmatch(r"[A-Za-z0-9._:-]{1,128}", response.headers["x-request-id"]), what
    known = operation(request.method, path)
    status = str(response.status_code)
    if known is None:
        assert status in ("400", "401", "404", "405", "501"), f"{what} is not in openapi.json"
    said = resolve((known or {"responses": {}})["responses"].get(status, {"$ref": "#/components/responses/Error"}
                                               if known is None or status in EVERYWHERE else {}))
    assert said, f"{what} is not in openapi.json"
    content = said.get("content", {})
    kind = response.headers.get("content-type", "").partition(";")[0]
    if not content:
        response.read()
        assert response.content == b"", f"{what} has a body, and none in openapi.json"
        return
    assert kind in content or "*/*" in content, f"{what} is {kind}, which it is not in openapi.json"
    if kind == "application/json" and kind in content and request.method != "HEAD":
        response.read()
        validate(response.json(), content[kind]["schema"])
