"""tarballs.py - packages of the tests' own for JavaScript and R: tarballs made here, and a registry and a repository of them."""
import base64
import gzip
import hashlib
import io
import json
import os
import tarfile


def _tar(path, files):
    with tarfile.open(path, "w:gz") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(text.encode()), 0o644
            tar.addfile(info, io.BytesIO(text.encode()))
    os.chmod(path, 0o644)
    return path


def npm(directory, name, version="1.0.0", files=None, **more):
    """Makes the tarball of an npm package, as `npm pack` names it: files are {path: text}, more is what package.json has more."""
    about = {"name": name, "version": version, **more}
    contents = {"package/package.json": json.dumps(about)}
    for path, text in (files or {"index.js": f"exports.version = {version!r};\n"}).items():
        contents[f"package/{path}"] = text
    return _tar(os.path.join(directory, f"{name.lstrip('@').replace('/', '-')}-{version}.tgz"), contents)


def npm_registry(directory, url, tarballs):
    """Makes files that any HTTP server under that URL is a registry with."""
    packages = {}
    for path in tarballs:
        with open(path, "rb") as f:
            data = f.read()
        with tarfile.open(path) as tar:
            about = json.load(tar.extractfile("package/package.json"))
        os.makedirs(os.path.join(directory, "files"), exist_ok=True)
        with open(os.path.join(directory, "files", os.path.basename(path)), "wb") as f:
            f.write(data)
        digest = base64.b64encode(hashlib.sha512(data).digest()).decode()
        dist = {"tarball": f"{url}/files/{os.path.basename(path)}", "integrity": f"sha512-{digest}"}
        packages.setdefault(about["name"], {})[about["version"]] = {**about, "dist": dist}
    for name, versions in packages.items():
        os.makedirs(os.path.dirname(os.path.join(directory, name)), exist_ok=True)
        with open(os.path.join(directory, name), "w", encoding="utf-8") as f:
            json.dump({"name": name, "dist-tags": {"latest": max(versions)}, "versions": versions}, f)


def r(directory, name, version="1.0", code=None, imports=()):
    """Makes the source package of code that exports all it defines; without, a function of its name that tells its version."""
    about = {"Package": name, "Version": version, "Title": "Of the Tests", "Description": "Made by the tests.", "License": "GPL-2",
             "Author": "Tests", "Maintainer": "Tests <tests@localhost>", "NeedsCompilation": "no"}
    if imports:
        about["Imports"] = ", ".join(imports)
    return _tar(os.path.join(directory, f"{name}_{version}.tar.gz"), {
        f"{name}/DESCRIPTION": "".join(f"{key}: {value}\n" for key, value in about.items()),
        f"{name}/NAMESPACE": 'exportPattern(".")\n' + "".join(f"import({one})\n" for one in imports),
        f"{name}/R/code.R": code or f'{name} <- function() "{version}"\n'})


def r_repository(directory):
    """Makes the index of the source packages in a directory, which is to be a repository's src/contrib."""
    entries = []
    for file in sorted(os.listdir(directory)):
        if file.endswith(".tar.gz"):
            with tarfile.open(os.path.join(directory, file)) as tar:
                text = tar.extractfile(f"{file.partition('_')[0]}/DESCRIPTION").read().decode()
            wanted = ("Package", "Version", "Imports", "License", "NeedsCompilation")
            entries.append("".join(f"{line}\n" for line in text.splitlines() if line.partition(":")[0] in wanted))
    text = "\n".join(entries)
    with open(os.path.join(directory, "PACKAGES"), "w", encoding="utf-8") as f:
        f.write(text)
    with gzip.open(os.path.join(directory, "PACKAGES.gz"), "wt", encoding="utf-8") as f:
        f.write(text)
