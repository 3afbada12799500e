#!/usr/bin/env python3
"""Paquebot beside Debian's Postfix, in one run on one machine.

Postfix's smtp-source drives each of them, Postfix's smtp-sink is the next host of both. Each figure is the
median of several rounds; the two systems take turns within a round, so that a noisy moment hits both.
"""

import argparse
import datetime
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from servers import Paquebot, Postfix, Sink, greeting_seconds

BODY_BYTES = 4096
# (sessions, messages a session or None for all of a session's share, messages in all)
LOADS = [
    (1, "one", 300),
    (10, "one", 2000),
    (50, "one", 3000),
    (1, "many", 500),
    (10, "many", 6000),
    (50, "many", 8000),
]
DRAIN_SECONDS_MAX = 180


def fsync_median_ms(folder):
    """Milliseconds of a 4 KiB append with fdatasync, the median of 200."""
    path = Path(folder) / "fsync"
    times = []
    with open(path, "wb", buffering=0) as file:
        for _ in range(200):
            began = time.perf_counter()
            file.write(b"x" * 4096)
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - began)
    path.unlink()
    return statistics.median(times) * 1000


def file_system(folder):
    return subprocess.run(
        ["stat", "-f", "-c", "%T", folder], check=True, capture_output=True, text=True
    ).stdout.strip()


def drive(server, sink, sessions, reuse, messages):
    """One load: (accepted a second, accepted and delivered a second, peak memory in MiB)."""
    before = sink.messages()
    command = ["smtp-source", "-s", str(sessions), "-m", str(messages), "-l", str(BODY_BYTES)]
    command += ["-f", server.sender, "-t", server.recipient]
    if reuse == "many":
        command.append("-d")
    command.append(f"{server.address}:{server.port}")
    server.watch_memory()
    began = time.perf_counter()
    subprocess.run(command, check=True, env=server.environment)
    accepted = time.perf_counter() - began
    while sink.messages() - before < messages:
        if time.perf_counter() - began > DRAIN_SECONDS_MAX:
            raise SystemExit(
                f"{server.name}: {sink.messages() - before} of {messages} messages delivered after {DRAIN_SECONDS_MAX} s"
            )
        time.sleep(0.005)
    delivered = time.perf_counter() - began
    return messages / accepted, messages / delivered, server.memory_peak_mib()


def row(label, ours, theirs, unit, more_is_better=True):
    ours, theirs = statistics.median(ours), statistics.median(theirs)
    ratio = ours / theirs if more_is_better else theirs / ours
    return f"| {label} | {ours:,.0f} {unit} | {theirs:,.0f} {unit} | {ratio:.1f} × |"


def measure(rounds, folder):
    """The table's rows."""
    figures = {}
    starts = {"Paquebot": [], "Postfix": []}
    memory = {"Paquebot": [], "Postfix": []}
    for number in range(rounds):
        for kind in (Paquebot, Postfix):
            with Sink() as sink, kind(Path(folder) / kind.__name__, sink) as server:
                starts[kind.__name__].append(server.start_seconds)
                drive(server, sink, 10, "many", 200)
                for load in LOADS:
                    accepted, delivered, peak = drive(server, sink, *load)
                    figures.setdefault(("accepted", load), {}).setdefault(kind.__name__, []).append(accepted)
                    figures.setdefault(("delivered", load), {}).setdefault(kind.__name__, []).append(delivered)
                memory[kind.__name__].append(peak)
                print(f"round {number + 1} of {rounds}: {kind.__name__} done", file=sys.stderr)
    rows = []
    for what, words in (("accepted", "accepted"), ("delivered", "accepted and delivered")):
        for load in LOADS:
            sessions, reuse, _ = load
            share = "one message a session" if reuse == "one" else "many messages a session"
            label = f"{words}, {sessions} session{'s' if sessions > 1 else ''}, {share}"
            pair = figures[(what, load)]
            rows.append(row(label, pair["Paquebot"], pair["Postfix"], "/s"))
    rows.append(row("memory at the end of the last load (PSS of all processes)", memory["Paquebot"], memory["Postfix"], "MiB", False))
    to_ms = lambda seconds: [second * 1000 for second in seconds]
    rows.append(row("from start to greeting, existing data", to_ms(starts["Paquebot"]), to_ms(starts["Postfix"]), "ms", False))
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", help="the page to write; without it the table is printed only")
    parser.add_argument("--directory", default="target", help="where the data lies: a real disk")
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        raise SystemExit("Postfix can be started by root only: run this as root")
    for tool in ("smtp-source", "smtp-sink", "postfix"):
        if not shutil.which(tool, path=os.environ["PATH"] + ":/usr/sbin"):
            raise SystemExit(f"{tool} is missing: run `make setup`")
    os.environ["PATH"] += ":/usr/sbin"
    if file_system(arguments.directory) in ("tmpfs", "ramfs"):
        raise SystemExit(f"{arguments.directory} is in memory: a sync costs nothing there; use --directory on a disk")
    folder = tempfile.mkdtemp(prefix="bench-", dir=os.path.abspath(arguments.directory))
    os.chmod(folder, 0o755)
    try:
        fsync = fsync_median_ms(folder)
        rows = measure(arguments.rounds, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    page = render(rows, arguments.rounds, fsync, file_system(arguments.directory))
    print(page)
    if arguments.write:
        Path(arguments.write).write_text(page)


def render(rows, rounds, fsync, kind_of_disk):
    postfix = subprocess.run(["postconf", "-d", "-h", "mail_version"], capture_output=True, text=True).stdout.strip()
    head = f"""# Benchmarks

Written by `make bench` on {datetime.date.today()}: medians of {rounds} rounds, both systems in the same run on the
same machine ({os.cpu_count()} cores, {platform.machine()}, {kind_of_disk}; a 4 KiB append with fdatasync takes {fsync:.2f} ms, median of 200).

| | Paquebot (SQLite, full sync) | Postfix {postfix} | ratio |
|---|---:|---:|---:|
"""
    return head + "\n".join(rows) + "\n" + HOW


HOW = f"""
## How it was measured

- Messages of {BODY_BYTES} octets from Postfix's `smtp-source`, delivered to Postfix's `smtp-sink`, all on loopback and sharing the
  cores with the server under test. *Accepted*: messages divided by the time until the last `250`, while delivery is going on.
  *Accepted and delivered*: by the time until the sink has them all.
- Paquebot: `paquebot up` with a release build; every `250` after a commit with `synchronous=FULL`. The recipient is an alias
  of a hosted domain that points to the sink's domain; each message (unsigned) is checked by SPF and DMARC and routed by MX
  through a name server on loopback, whose answers are cached.
- Postfix: an instance of its own with Debian's defaults (`fsync` of each queue file), relaying to the sink by `relayhost`, no checks,
  no DNS. Its default `in_flow_delay = 1s` slows senders when mail arrives faster than it leaves; it was left as it is.
- Memory is the proportional set size, summed over all processes of the server. Ratios above 1 mean that Paquebot does better.
"""


if __name__ == "__main__":
    main()
