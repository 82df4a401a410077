"""prepare.py DIRECTORY - fills the directory that becomes the home of every worker.

Run by the gateway on the host, before the first worker.  What a kernel would otherwise make in each container
again is made here once: IPython's profile, matplotlib's list of fonts, and a matplotlibrc that renders all
scripts for which there is a font.  Quick when nothing has changed; may be interrupted and run again.
"""

import hashlib
import importlib.metadata
import json
import os
import sys
import tempfile

FONT_DIRS = ("/usr/share/fonts", "/usr/local/share/fonts")
FIRST_FONT = "DejaVu Sans"
# For what the first font has no glyphs: those that are installed, in this order.
MORE_FONTS = (
    "Noto Sans CJK SC",
    "WenQuanYi Micro Hei",
    "WenQuanYi Zen Hei",
    "Noto Sans CJK JP",
    "Noto Sans CJK KR",
    "Noto Sans CJK TC",
    "Droid Sans Fallback",
    "Noto Sans",
    "Noto Sans Arabic",
    "Noto Sans Devanagari",
    "Noto Sans Hebrew",
    "Noto Sans Thai",
    "Noto Sans Symbols",
    "Noto Sans Symbols2",
    "Unifont",
)
STAMP = ".cache/prepared"


def version(distribution):
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return ""


def fingerprint():
    """Changes whenever the result of this program would."""
    parts = [sys.version, version("ipython"), version("matplotlib")]
    with open(__file__, "rb") as f:
        parts.append(hashlib.sha256(f.read()).hexdigest())
    for top in FONT_DIRS:
        for path, dirs, _ in os.walk(top):
            dirs.sort()
            parts.append(f"{path} {os.stat(path).st_mtime_ns}")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest() + "\n"


def read(path):
    try:
        with open(path, encoding="utf-8") as f:
            return f.read()
    except FileNotFoundError:
        return None


def write(path, text):
    """Aside and rename: a worker never sees half a file."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    aside = path + ".new"
    with open(aside, "w", encoding="utf-8") as f:
        f.write(text)
    os.rename(aside, path)


def prepare_ipython(directory):
    from IPython.core.profiledir import ProfileDir

    ipython_dir = os.path.join(directory, ".ipython")
    os.makedirs(ipython_dir, exist_ok=True)
    ProfileDir.create_profile_dir_by_name(ipython_dir, "default")


def in_container(font):
    """Only /usr looks in a container as it does here; relative names belong to matplotlib itself."""
    return not os.path.isabs(font["fname"]) or font["fname"].startswith("/usr/")


def font_list(scratch):
    """matplotlib's own list of fonts: the name of its file, and what is in it.  Made anew in scratch."""
    os.environ["MPLCONFIGDIR"] = scratch
    from matplotlib import font_manager  # makes it when it is loaded

    name = f"fontlist-v{font_manager.FontManager.__version__}.json"
    return name, json.loads(read(os.path.join(scratch, name)))


def prepare_matplotlib(directory):
    with tempfile.TemporaryDirectory() as scratch:
        name, fonts = font_list(scratch)
    for kind in ("ttflist", "afmlist"):
        fonts[kind] = [font for font in fonts[kind] if in_container(font)]
    write(os.path.join(directory, ".cache/matplotlib", name), json.dumps(fonts))
    installed = {font["name"] for font in fonts["ttflist"]}
    families = [FIRST_FONT] + [name for name in MORE_FONTS if name in installed]
    write(
        os.path.join(directory, ".config/matplotlib/matplotlibrc"),
        "# Each character is drawn with the first of these fonts that has it.\n"
        f"font.family: {', '.join(families)}\n",
    )


def open_directories(top):
    """IPython makes some for their owner alone; the workers' root is not this host's root."""
    for path, _, _ in os.walk(top):
        os.chmod(path, 0o755)


def main():
    directory = os.path.abspath(sys.argv[1])
    stamp = os.path.join(directory, STAMP)
    os.umask(0o022)  # the workers read it under other user ids
    now = fingerprint()
    if read(stamp) == now:
        return
    os.makedirs(directory, exist_ok=True)
    os.environ["HOME"] = directory  # no settings of whoever runs the gateway
    os.environ.pop("MATPLOTLIBRC", None)
    prepare_ipython(directory)
    if version("matplotlib"):
        prepare_matplotlib(directory)
    open_directories(directory)
    write(stamp, now)


main()
