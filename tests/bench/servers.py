"""The servers of the benchmark: each is started in a folder of its own, on loopback addresses, and ended again."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PROGRAMS = REPOSITORY / os.environ.get("CARGO_TARGET_DIR", "target") / "release"
SINK_ADDRESS, SINK_PORT = "127.0.0.41", 2525
NAMESERVER = "127.0.0.42:5353"
START_SECONDS_MAX = 30


def greeting_seconds(address, port, began):
    """Seconds since `began` until the server at this address greets."""
    while True:
        try:
            with socket.create_connection((address, port), timeout=5) as connection:
                if connection.recv(4) == b"220 ":
                    return time.perf_counter() - began
        except OSError:
            pass
        if time.perf_counter() - began > START_SECONDS_MAX:
            raise SystemExit(f"nothing greets at {address}:{port}")
        time.sleep(0.002)


def pss_mib(pids):
    """Proportional set size of processes, in MiB."""
    total = 0
    for pid in pids:
        try:
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:"))
    return total / 1024


def descendants(pid):
    """A process and all below it."""
    found = [pid]
    for child in Path("/proc").iterdir():
        if child.name.isdigit():
            try:
                parent = int((child / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except (OSError, IndexError):
                continue
            if parent == pid:
                found += descendants(int(child.name))
    return found


class Sink:
    """Postfix's smtp-sink: takes everything, counts it."""

    def __enter__(self):
        self.process = subprocess.Popen(
            ["smtp-sink", "-u", "postfix", "-c", f"{SINK_ADDRESS}:{SINK_PORT}", "1000"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self.count = 0
        threading.Thread(target=self.read, daemon=True).start()
        greeting_seconds(SINK_ADDRESS, SINK_PORT, time.perf_counter())
        return self

    def read(self):
        rest = b""
        while piece := os.read(self.process.stdout.fileno(), 65536):
            lines = (rest + piece).split(b"\r")
            rest = lines.pop()
            for line in lines:
                for word in line.split():
                    if word.startswith(b"mesg="):
                        self.count = int(word[5:])

    def messages(self):
        return self.count

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()


class Server:
    """What both have in common."""

    environment = None

    def watch_memory(self):
        self.peak = 0.0

    def memory_peak_mib(self):
        return pss_mib(descendants(self.pid()))


class Postfix(Server):
    """An instance of Postfix with Debian's defaults, relaying everything to the sink."""

    name, address, port = "Postfix", "127.0.0.43", 2525
    sender, recipient = "sender@source.example", "user@sink.example"

    def __init__(self, folder, sink):
        self.folder = folder

    def __enter__(self):
        if not self.folder.exists():
            self.write_configuration()
        self.start()
        self.stop()
        self.start()
        return self

    def write_configuration(self):
        config, queue, data = (self.folder / name for name in ("etc", "spool", "lib"))
        for folder in (config, queue, data):
            folder.mkdir(parents=True, mode=0o755)
        owner = pwd.getpwnam("postfix")
        os.chown(data, owner.pw_uid, owner.pw_gid)
        (config / "main.cf").write_text(
            f"""compatibility_level = 3.6
queue_directory = {queue}
data_directory = {data}
myhostname = postfix.example
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
relayhost = [{SINK_ADDRESS}]:{SINK_PORT}
alias_maps =
alias_database =
maillog_file = {self.folder}/log
maillog_file_prefixes = /
"""
        )
        master = Path("/etc/postfix/master.cf.proto")
        if not master.exists():
            master = Path("/usr/share/postfix/master.cf.dist")
        lines = master.read_text().splitlines()
        # Not in a chroot: the instance's spool has no copies of the system's files.
        for index, line in enumerate(lines):
            words = line.split()
            if len(words) >= 8 and not line.startswith(("#", " ")):
                words[4] = "n"
                if words[:2] == ["smtp", "inet"]:
                    words[0] = f"{self.address}:{self.port}"
                lines[index] = "  ".join(words)
        (config / "master.cf").write_text("\n".join(lines) + "\n")

    def start(self):
        began = time.perf_counter()
        self.command("start")
        self.start_seconds = greeting_seconds(self.address, self.port, began)

    def stop(self):
        self.command("stop")

    def command(self, verb):
        done = subprocess.run(["postfix", "-c", str(self.folder / "etc"), verb], capture_output=True, text=True)
        if done.returncode != 0:
            raise SystemExit(f"postfix {verb}: {done.stderr}")

    def pid(self):
        return int((self.folder / "spool/pid/master.pid").read_text())

    def __exit__(self, *_):
        self.stop()


class Paquebot(Server):
    """`paquebot up`, full sync; the recipient is an alias to the sink's domain."""

    name, address, port = "Paquebot", "127.0.0.44", 2525
    sender, recipient = "sender@source.example", "relay@bench.example"

    def __init__(self, folder, sink):
        self.folder = folder

    def __enter__(self):
        self.folder.mkdir(exist_ok=True, mode=0o755)
        (self.folder / "zones").write_text(ZONES)
        (self.folder / "mail.yaml").write_text(MAIL)
        (self.folder / "settings.yaml").write_text(SETTINGS)
        self.nameserver = subprocess.Popen(
            [str(PROGRAMS / "nameserver"), NAMESERVER, str(self.folder / "zones")]
        )
        self.start()
        self.stop()
        self.start()
        return self

    def start(self):
        began = time.perf_counter()
        self.log = open(self.folder / "log", "ab")
        self.process = subprocess.Popen(
            [
                str(PROGRAMS / "paquebot"), "up", "-f", str(self.folder / "mail.yaml"),
                "--data", str(self.folder / "data"), "--address", self.address,
                "--settings", str(self.folder / "settings.yaml"),
            ],
            stdout=self.log, stderr=self.log, cwd=self.folder, env=os.environ | {"RUST_LOG": "warn"},
        )
        self.start_seconds = greeting_seconds(self.address, self.port, began)

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(timeout=60)

    def pid(self):
        return self.process.pid

    def __exit__(self, *_):
        self.stop()
        self.nameserver.terminate()
        self.nameserver.wait()


ZONES = f"""@ 60 IN SOA ns.invalid. hostmaster.invalid. 1 60 60 60 60
source.example. 60 IN TXT "v=spf1 ip4:127.0.0.0/8 -all"
sink.example. 60 IN MX 10 mx.sink.example.
mx.sink.example. 60 IN A {SINK_ADDRESS}
"""

SETTINGS = f"""resolvers: ["{NAMESERVER}"]
delivery: {{port: {SINK_PORT}, allowedTargets: [127.0.0.0/8]}}
"""

MAIL = """apiVersion: paquebot.dev/v1alpha1
kind: MailDomain
metadata: {name: bench.example, namespace: mail}
spec:
  aliases: [{name: relay, to: [user@sink.example]}]
"""
