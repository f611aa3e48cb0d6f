"""Processes, and what they cost: CPU seconds of all their threads, time, memory, bytes written."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
BLOCK = 512  # getrusage's block, whatever the disk's
POLL_S = 0.02
STOPS_WITHIN_S = 60


class Failure(Exception):
    """Something the user can act on; the message says what, and where to look."""


@dataclass
class Cost:
    """Of a process from its start to its end, of all its threads."""

    cpu_s: float
    wall_s: float
    peak_bytes: int
    written_bytes: int
    samples: list = field(default_factory=list)  # (events, cpu_s), while it ran

    def per_event(self, events):
        return {"events_per_cpu_s": events / self.cpu_s, "cpu_s": self.cpu_s, "wall_s": self.wall_s,
                "peak_bytes": self.peak_bytes, "written_per_event": self.written_bytes / events}

    def steady(self, events, after=0.4):
        """Events per CPU second behind the first part, in which connections are made and Java's compiler is at work."""
        begin = next((sample for sample in self.samples if sample[0] >= after * events), None)
        end = next((sample for sample in self.samples if sample[0] >= events), None)
        if not begin or not end or end[1] <= begin[1] or end[0] <= begin[0]:
            return None
        return (end[0] - begin[0]) / (end[1] - begin[1])


class Process:
    """A process of ours: waited for, stopped and, if need be, killed by its id, which stays its own until it is waited for."""

    def __init__(self, name, command, log, env=None):
        self.name, self.log = name, Path(log)
        self.out = self.log.with_suffix(".out")
        self.samples = []
        self.begun = time.monotonic()
        with open(self.out, "wb") as out, open(self.log, "wb") as err:
            # A session of its own: Ctrl-C is for the harness, which then ends it.
            self.child = subprocess.Popen([str(part) for part in command], stdin=subprocess.DEVNULL, stdout=out,
                                          stderr=err, env=env, start_new_session=True)
        self.cost = None

    def cpu_s(self):
        """So far."""
        fields = Path(f"/proc/{self.child.pid}/stat").read_text().rpartition(") ")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def sample(self, events):
        self.samples.append((events, self.cpu_s()))

    def ended(self):
        """Its cost, once it has ended."""
        if self.cost:
            return self.cost
        pid, status, used = os.wait4(self.child.pid, os.WNOHANG)
        if not pid:
            return None
        self.child.returncode = os.waitstatus_to_exitcode(status)
        self.cost = Cost(used.ru_utime + used.ru_stime, time.monotonic() - self.begun, used.ru_maxrss * 1024,
                         used.ru_oublock * BLOCK, self.samples)
        return self.cost

    def wait(self, patience_s):
        until = time.monotonic() + patience_s
        while not self.ended():
            if time.monotonic() > until:
                self.kill()
                raise Failure(f"{self.name} took longer than {patience_s:.0f} s; its log is {self.log}")
            time.sleep(POLL_S)
        return self.cost

    def check(self, accepted=(0,)):
        if self.child.returncode not in accepted:
            raise Failure(f"{self.name} ended with {self.child.returncode}: {self.last_words()}")
        return self.cost

    def stop(self, accepted=(0,)):
        if not self.ended():
            self.child.send_signal(signal.SIGTERM)
            self.wait(STOPS_WITHIN_S)
        return self.check(accepted)

    def kill(self):
        if not self.ended():
            # What it runs in its turn goes with it.
            os.killpg(self.child.pid, signal.SIGKILL)
            while not self.ended():
                time.sleep(POLL_S)

    def last_words(self):
        return "\n  ".join(["", *self.log.read_text(errors="replace").splitlines()[-5:]]) + f"\n  (all of it: {self.log})"


def run(name, command, log, patience_s, env=None):
    """Runs a command to its end."""
    process = Process(name, command, log, env)
    try:
        process.wait(patience_s)
        return process.check()
    finally:
        process.kill()


def without_settings():
    """The environment without settings of Tocsin, which would be another measurement."""
    return {name: value for name, value in os.environ.items() if not name.startswith("TOCSIN_")}


def bytes_on_disk(folder):
    return sum(path.stat().st_blocks * BLOCK for path in Path(folder).rglob("*") if path.is_file())


class Workshop:
    """A folder for one run of the harness, removed at its end unless something failed."""

    def __init__(self, keep):
        self.folder = Path(tempfile.mkdtemp(prefix="tocsin-bench-", dir=os.environ.get("BENCH_DIR")))
        self.keep = keep

    def __enter__(self):
        return self.folder

    def __exit__(self, kind, *_):
        if self.keep or kind:
            print(f"files are in {self.folder}", flush=True)
        else:
            shutil.rmtree(self.folder, ignore_errors=True)
