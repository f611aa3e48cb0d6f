"""The engines that read from Kafka: how each is started, and how far it is.

Each has `name`, `start(stage) -> Process`, `taken(process)`: the events that it has taken in, and `state`: where its state is.
"""

import json
import os
import re
import shutil
import subprocess
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from .load import ROOT, RULES, program
from .process import Failure, Process, without_settings

STREAMS = ROOT / "benches/peers/streams"
# What Java is given. Throughput is what is measured, so the collector is the one for throughput.
JAVA = ["-Xms1g", "-Xmx1g", "-XX:+UseParallelGC"]
JAVA_STOPPED = (0, 143)  # by SIGTERM


@dataclass
class Stage:
    """Of one run: where it reads, writes and keeps what it keeps."""

    bootstrap: str
    events: str
    name: str  # application, group and prefix of its topics
    folder: Path
    threads: int
    memory_mb: int
    partitions: int
    forward_every: int

    @property
    def alerts(self):
        return f"{self.name}.alerts"

    @property
    def state(self):
        return self.folder / f"{self.name}.state"

    @property
    def log(self):
        return self.folder / f"{self.name}.log"


def last_number(path):
    """Of a process that says how far it is, a line each time."""
    with open(path, "rb") as told:
        told.seek(max(0, os.fstat(told.fileno()).st_size - 64))
        whole = told.read().rpartition(b"\n")[0].rpartition(b"\n")[2]
    return int(whole or 0)


class Tocsin:
    name = "tocsin"
    accepted = (0,)

    def __init__(self, rules=RULES, under=(), further=()):
        """`under`: a program that runs it, with its options. `further`: settings, as NAME=VALUE."""
        self.rules, self.under, self.further, self.address = rules, under, further, None

    def start(self, stage):
        settings = {
            "application": stage.name, "instance": "bench", "workers": stage.threads, "state_dir": stage.state,
            "memory_budget": f"{stage.memory_mb}MB", "kafka.create_topics": "true", "topics.events": stage.events,
            "topics.alerts": stage.alerts, "topics.dead_letters": f"{stage.name}.dead-letters",
            "topics.partitions": stage.partitions, "http.listen": "127.0.0.1:0", "log.format": "json",
            # The events are not of today.
            "time.idle_after": "never",
        }
        command = [*self.under, program("tocsin"), "run", "--bootstrap", stage.bootstrap, "--rules", self.rules]
        for name, value in settings.items():
            command += ["--set", f"{name}={value}"]
        for setting in self.further:
            command += ["--set", setting]
        self.address = None
        return Process(self.name, command, stage.log, without_settings())

    def taken(self, process):
        if not self.address:
            self.address = next((line["address"] for line in lines(process.log) if line.get("message") == "started"), None)
            return 0
        with urllib.request.urlopen(f"http://{self.address}/metrics", timeout=10) as answer:
            text = answer.read().decode()
        return sum(int(float(count)) for count in re.findall(r"^tocsin_events_total{.*} (\S+)$", text, re.M))


def lines(log):
    for line in log.read_text(errors="replace").splitlines():
        try:
            yield json.loads(line)
        except ValueError:
            continue


class Floor:
    name = "floor"
    accepted = (0,)

    def start(self, stage):
        command = [program("floor"), stage.bootstrap, stage.events, stage.alerts, stage.name, stage.forward_every]
        return Process(self.name, command, stage.log)

    def taken(self, process):
        return last_number(process.out)


class KafkaStreams:
    name = "kafka-streams"
    accepted = JAVA_STOPPED

    def __init__(self, folder):
        """Compiles it."""
        fetched = subprocess.run([ROOT / "deploy/local/kafka", "fetch", "--streams"], capture_output=True, text=True)
        if fetched.returncode:
            raise Failure(f"no Kafka Streams: {fetched.stderr.strip()}")
        self.libs, self.classes = fetched.stdout.strip(), folder / "classes"
        if not shutil.which("javac"):
            raise Failure("no javac: install a JDK 17 or later (Debian: apt-get install default-jdk-headless)")
        command = ["javac", "-d", self.classes, "-cp", f"{self.libs}/*", *sorted(STREAMS.glob("src/peer/*.java"))]
        compiled = subprocess.run(command, capture_output=True, text=True)
        if compiled.returncode:
            raise Failure(f"the peer on Kafka Streams does not compile:\n{compiled.stderr}")

    def start(self, stage):
        # A third for RocksDB's blocks and buffers, a third for the record cache in front of it, as Tocsin divides its own;
        # the heap holds the cache.
        third = stage.memory_mb * 1_000_000 // 3
        command = ["java", *JAVA, f"-Dpeer.rocksdb.bytes={third}", "-cp", f"{self.classes}:{self.libs}/*", "peer.Peer",
                   stage.bootstrap, stage.events, stage.alerts, stage.name, stage.state, stage.threads, third]
        return Process(self.name, command, stage.log)

    def taken(self, process):
        return last_number(process.out)
