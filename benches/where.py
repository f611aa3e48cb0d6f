"""Where the nanoseconds go: `perf record` over a backtest of a generated load, its samples added up by part of the program;
with --live over `tocsin run`, from its start to its end, whose events come from a broker.

By the function that a sample was taken in; what the compiler has put into another one counts there. Needs Linux' perf.
"""

import re
import signal
import subprocess
import sys

from harness import report
from harness.broker import Broker
from harness.engines import Stage, Tocsin
from harness.load import RULES, Load, arguments, program, target
from harness.process import Failure, Workshop, run, without_settings
from peers.compare import EVENTS, one_run

PARTITIONS, WORKERS = 4, 2
# The first that fits. Iterators are named by what they go over only where nothing was put into them.
PARTS = [
    ("the kernel", r"\[k\]"),
    ("decoding", r"tocsin::codec::(decode|schemas|timestamp|avro)"),
    ("alert records", r"tocsin::codec::alert|tocsin::task::outbox"),
    ("rows", r"tocsin::codec::rows"),
    ("journal", r"tocsin::codec::journal"),
    ("finding customers", r"tocsin::task::cache|hashbrown|compact_str"),
    ("timers", r"tocsin::task::timers|btree"),
    ("windows", r"tocsin_core::(window|held|tracker|ratio)"),
    ("timeline", r"tocsin_core::(timeline|event|varint)|core::iter|core::ops::function"),
    ("conditions", r"tocsin_core::(expr|value|attributes)"),
    ("engine", r"tocsin_core"),
    ("compression", r"LZ4|ZSTD|HUF_|FSE_|COVER|divsufsort"),
    ("RocksDB", r"rocksdb|XXH3|crc32c"),
    ("librdkafka", r"rd_|rdkafka|snappy"),
    ("allocator, copying", r"malloc|free|realloc|_rjem|je_|arena_|tcache|extent_|memmove|memcpy|memcmp|memset|unlink_chunk"),
    ("the rest of tocsin", r"tocsin"),
]


# By the thread's name.
THREADS = [
    ("the workers", r"worker-"),
    ("RocksDB's own", r"rocksdb:"),
    ("librdkafka's", r"rdk:"),
]


def shares(samples):
    """(thread, part) -> its share, from `perf report`."""
    found, total = {}, 0.0
    for line in samples.splitlines():
        fits = re.match(r"\s*([\d.]+)%\s*;([^;]*);(\[.\].*)", line)
        if not fits:
            continue
        share, name, symbol = float(fits[1]), fits[2], fits[3]
        thread = next((thread for thread, pattern in THREADS if re.search(pattern, name)), "others")
        part = next((part for part, pattern in PARTS if re.search(pattern, symbol)), "elsewhere")
        found[thread, part] = found.get((thread, part), 0.0) + share
        total += share
    return {place: share / total for place, share in found.items()}


def added_up(found, place):
    """By one of the two, the largest first."""
    sums = {}
    for names, share in found.items():
        sums[names[place]] = sums.get(names[place], 0.0) + share
    return dict(sorted(sums.items(), key=lambda row: -row[1]))


def backtest(asked, load, folder, under):
    """What it cost."""
    events, output = folder / "events.jsonl", folder / "alerts.jsonl" if asked.records else "none"
    load.to_file(events, asked.patience)
    command = [*under, program("tocsin"), "backtest", "--rules", RULES, "--events", events, "--output", output]
    return run("perf", command, folder / "log", asked.patience, without_settings())


def live(asked, load, folder, under):
    """What it cost."""
    engine = Tocsin(under=under)
    # It has been told to end, and says so when it has done so.
    engine.accepted = (0, -signal.SIGTERM)
    with Broker(folder / "kafka") as broker:
        load.to_kafka(broker.bootstrap, EVENTS, PARTITIONS, folder / "generate.log", asked.patience)
        stage = Stage(broker.bootstrap, EVENTS, "where", folder, WORKERS, asked.memory_mb, PARTITIONS, 1)
        broker.create(stage.alerts, PARTITIONS)
        return one_run(engine, stage, asked)


def main():
    parser = arguments(__doc__, events=500_000, customers=100_000)
    parser.add_argument("--records", action="store_true", help="write alert records, too; live they always are")
    parser.add_argument("--live", action="store_true", help=f"`tocsin run`, {WORKERS} workers, {PARTITIONS} partitions")
    parser.add_argument("--memory-mb", type=int, default=1_800, metavar="N",
                        help="its memory_budget; with little it reads customers from disk (default: %(default)s)")
    asked = parser.parse_args()
    load, about = Load.asked(asked), report.machine()
    with Workshop(asked.keep) as folder:
        found = folder / "perf.data"
        under = ["perf", "record", "--quiet", "--output", found]
        cost = (live if asked.live else backtest)(asked, load, folder, under)
        told = subprocess.run(["perf", "report", "--input", found, "--no-children", "--stdio", "--fields", "overhead,comm,sym",
                               "--field-separator", ";"], capture_output=True, text=True, check=True).stdout
    each, samples = cost.cpu_s / asked.events * 1e9, shares(told)
    threads, parts = added_up(samples, 0), added_up(samples, 1)
    rows = []
    for part, share in parts.items():
        by_thread = (samples.get((thread, part), 0.0) * each for thread in threads)
        rows.append([part, f"{share:.0%}", f"{share * each:,.0f}", *(f"{ns:,.0f}" if ns >= 1 else "" for ns in by_thread)])
    all_of_it = ["all", "", f"{each:,.0f}", *(f"{share * each:,.0f}" for share in threads.values())]
    report.table([["part", "share", "ns an event", *threads], *rows, all_of_it])
    print()
    report.write(asked.json or target() / "bench/where.json",
                 {"machine": about, "load": vars(asked), "ns": each, "threads": threads, "parts": parts})


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(f"bench-where: {failure}")
