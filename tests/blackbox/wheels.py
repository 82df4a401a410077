"""wheels.py - packages of the tests' own: wheels made here, and indexes of them."""
import base64
import hashlib
import os
import tarfile
import zipfile


def house(tmp_path_factory):
    """A directory for wheels that everybody may read: an operator's."""
    directory = tmp_path_factory.mktemp("wheels")
    for path in (directory, directory.parent, directory.parent.parent):
        os.chmod(path, 0o755)
    return directory


def wheel(directory, name, version="1.0", files=None, requires=(), tag="py3-none-any"):
    """Makes NAME-VERSION-TAG.whl of files, {path: text}; without, a module of that name that knows its version."""
    info = f"{name}-{version}.dist-info"
    contents = dict(files if files is not None else {f"{name}.py": f"VERSION = {version!r}\n"})
    contents[f"{info}/METADATA"] = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n" + "".join(
        f"Requires-Dist: {r}\n" for r in requires)
    contents[f"{info}/WHEEL"] = f"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: {tag}\n"
    record = ""
    for path, text in contents.items():
        data = text if isinstance(text, bytes) else text.encode()
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        record += f"{path},sha256={digest},{len(data)}\n"
    contents[f"{info}/RECORD"] = record + f"{info}/RECORD,,\n"
    path = os.path.join(directory, f"{name}-{version}-{tag}.whl")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as z:
        for inner, text in contents.items():
            z.writestr(inner, text)
    os.chmod(path, 0o644)
    return path


def source(directory, name, version="1.0", setup=""):
    """Makes NAME-VERSION.tar.gz, which is no wheel: to install it, its setup.py would be run."""
    path = os.path.join(directory, f"{name}-{version}.tar.gz")
    inside = os.path.join(directory, "setup.py")
    with open(inside, "w", encoding="utf-8") as f:
        f.write(setup)
    with tarfile.open(path, "w:gz") as tar:
        tar.add(inside, f"{name}-{version}/setup.py")
    os.unlink(inside)
    os.chmod(path, 0o644)
    return path


def index(directory, wheels):
    """Makes a package index (PEP 503) of these files in the directory, to be served by any HTTP server."""
    names = {os.path.basename(w).partition("-")[0] for w in wheels}
    for name in names:
        os.makedirs(os.path.join(directory, "simple", name), exist_ok=True)
        links = ""
        for w in wheels:
            base = os.path.basename(w)
            if base.partition("-")[0] == name:
                with open(w, "rb") as f:
                    data = f.read()
                with open(os.path.join(directory, "simple", name, base), "wb") as f:
                    f.write(data)
                links += f'<a href="{base}#sha256={hashlib.sha256(data).hexdigest()}">{base}</a>\n'
        with open(os.path.join(directory, "simple", name, "index.html"), "w", encoding="utf-8") as f:
            f.write(f"<!DOCTYPE html><html><body>\n{links}</body></html>\n")
