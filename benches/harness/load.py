"""What is measured with: the programs, the events, the sizes."""

import argparse
import os
from dataclasses import dataclass
from pathlib import Path

from .process import Failure, run, without_settings

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "benches/peers/rules.yaml"


def cache_root():
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tocsin"


def target():
    return Path(os.environ.get("CARGO_TARGET_DIR") or cache_root() / "target")


def program(name):
    path = target() / "release" / name
    if not path.exists():
        raise Failure(f"{path} is not built: run this by `make bench` or `make bench-peers`")
    return path


@dataclass
class Load:
    events: int
    customers: int
    days: int
    seed: int
    disorder: str

    @classmethod
    def asked(cls, asked):
        return cls(asked.events, asked.customers, asked.days, asked.seed, asked.disorder)

    def options(self):
        return ["--events", self.events, "--customers", self.customers, "--days", self.days, "--seed", self.seed,
                "--disorder", self.disorder]

    def to_file(self, path, patience_s):
        command = [program("tocsin"), "generate", *self.options(), "--output", path]
        return run("tocsin generate", command, path.with_suffix(".log"), patience_s, without_settings())

    def to_kafka(self, bootstrap, topic, partitions, log, patience_s):
        command = [program("tocsin"), "generate", *self.options(), "--kafka", "--bootstrap", bootstrap, "--topic", topic,
                   "--set", "kafka.create_topics=true", "--set", f"topics.partitions={partitions}"]
        return run("tocsin generate", command, log, patience_s, without_settings())


def arguments(description, events, customers):
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    number = dict(type=int, metavar="N")
    parser.add_argument("--events", default=events, help="default: %(default)s", **number)
    parser.add_argument("--customers", default=customers, help="default: %(default)s", **number)
    parser.add_argument("--days", default=180, help="default: %(default)s", **number)
    parser.add_argument("--seed", default=1, help="default: %(default)s", **number)
    parser.add_argument("--disorder", default="60s", metavar="DURATION",
                        help="how late events come at the most; more than a minute is late (default: %(default)s)")
    parser.add_argument("--rounds", default=3, help="each engine once in a round, in turns (default: %(default)s)", **number)
    parser.add_argument("--patience", default=300, help="seconds for one run (default: %(default)s)", **number)
    parser.add_argument("--json", metavar="FILE", help="where the figures go as well")
    parser.add_argument("--keep", action="store_true", help="leave files and logs where they are")
    return parser


def in_turns(names, rounds):
    """(round, name): another one is first in each round, so that what changes with time falls on all of them."""
    for number in range(rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            yield number, name
