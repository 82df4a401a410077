"""test_seed_example.py - the usage example of the seed, as its users write it: two calls, state kept."""
import asyncio
import base64
import subprocess
import sys
import textwrap
import uuid

import httpx


def get_auth_token(gateway):
    with open(f"{gateway.state_dir}/auth_token", encoding="ascii") as f:
        return f.read().strip()


async def execute_code(client, url, user_id, code):
    payload = {"user_uuid": user_id, "code": code}
    response = await client.post(f"{url}/execute", json=payload, timeout=30.0)
    response.raise_for_status()
    return response.json()


def test_two_calls_keep_state(gateway, user):
    async def main():
        headers = {"X-Auth-Token": get_auth_token(gateway)}
        async with httpx.AsyncClient(headers=headers, trust_env=False) as client:
            first = await execute_code(client, gateway.url, user, "a = 100")
            second = await execute_code(client, gateway.url, user, "print(f'The value of a is {a}')")
        return first, second

    first, second = asyncio.run(main())
    assert first["result_text"] is None and first["result_base64"] is None
    assert second["result_text"] == "The value of a is 100\n"
    assert second["result_base64"] is None


def test_as_a_program(gateway, users):
    """The example as a script of its own, prints and all."""
    user_id = str(uuid.uuid4())
    script = textwrap.dedent("""
        import httpx
        import asyncio
        import base64

        GATEWAY_URL = %r
        USER_ID = %r

        def get_auth_token():
            with open(%r) as f:
                return f.read().strip()

        async def execute_code(client: httpx.AsyncClient, code: str):
            print(f"\\n--- Executing ---\\n{code.strip()}")
            payload = {"user_uuid": USER_ID, "code": code}
            try:
                response = await client.post(f"{GATEWAY_URL}/execute", json=payload, timeout=30.0)
                response.raise_for_status()
                data = response.json()
                if data.get("result_text"):
                    print(">>> Text Result:\\n" + data["result_text"])
                if data.get("result_base64"):
                    print(">>> Image generated! (output.png saved)")
                    with open("output.png", "wb") as f:
                        f.write(base64.b64decode(data["result_base64"]))
            except httpx.HTTPStatusError as e:
                print(f"Execution failed: {e.response.status_code} - {e.response.text}")

        async def main():
            token = get_auth_token()
            if not token: return

            headers = {"X-Auth-Token": token}
            async with httpx.AsyncClient(headers=headers) as client:
                await execute_code(client, "a = 100")
                await execute_code(client, "print(f'The value of a is {a}')")

        if __name__ == "__main__":
            asyncio.run(main())
    """) % (gateway.url, user_id, f"{gateway.state_dir}/auth_token")
    try:
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120,
                              env={"NO_PROXY": "*"})
    finally:
        gateway.release(user_id)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ("\n--- Executing ---\na = 100\n"
                           "\n--- Executing ---\nprint(f'The value of a is {a}')\n"
                           ">>> Text Result:\nThe value of a is 100\n\n")


def test_a_picture_is_saved_as_the_example_does(gateway, user, tmp_path):
    data = gateway.ok(user, "import matplotlib.pyplot as plt\nplt.plot([1, 2, 3])\nplt.show()")
    path = tmp_path / "output.png"
    path.write_bytes(base64.b64decode(data["result_base64"]))
    assert path.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")


def test_a_timeout_raises_for_status(gateway, user):
    """raise_for_status, as the example uses it, tells of a timeout; the text has the detail."""
    response = gateway.execute(user, "while True: pass", timeout=1)
    try:
        response.raise_for_status()
    except httpx.HTTPStatusError as e:
        assert e.response.status_code == 504
        assert e.response.json()["detail"]
    else:
        raise AssertionError("no error was raised")
