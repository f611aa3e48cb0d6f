"""What Tocsin promises of itself, beside what is found: the program `targets`, and two runs on a broker.

memory    the process's memory beside its budget, with state of several times the budget and many partitions
replay    how fast a store is built again from the log, and an audit judges, beside how fast it was live
"""

import argparse
import shutil
import subprocess
import sys
import time

from harness import report
from harness.broker import Broker
from harness.engines import Stage, Tocsin
from harness.load import Load, program, target
from harness.notes import Notes
from harness.process import Failure, Process, Workshop, bytes_on_disk, without_settings

ALONE = ("engine", "flat", "timers", "state")
ON_BROKER = ("memory", "replay")
SAMPLE_S = 0.2
EVENTS = "events"


def alone(what, patience):
    """What the program finds without a broker."""
    found = target() / f"bench/{what}.json"
    found.parent.mkdir(parents=True, exist_ok=True)
    print(f"\n{what}", flush=True)
    done = subprocess.run([program("targets"), what, "--json", found], env=without_settings(), timeout=patience,
                          stderr=subprocess.DEVNULL)
    if done.returncode:
        raise Failure(f"`targets {what}` ended with {done.returncode}")


def take_in(engine, process, events, patience, sample=lambda: None):
    """Waits until all events are taken in; how much CPU that took from the first of them on."""
    until, taken = time.monotonic() + patience, 0
    while taken < events:
        if process.ended():
            raise Failure(f"{engine.name} ended by itself: {process.last_words()}")
        if time.monotonic() > until:
            raise Failure(f"{engine.name} took in {taken} of {events} events in {patience} s; its log is {process.log}")
        time.sleep(SAMPLE_S)
        taken = engine.taken(process)
        process.sample(taken)
        sample()


def memory_of(process):
    with open(f"/proc/{process.child.pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmRSS:"))


def memory(asked, folder):
    """Random customers over many partitions; the state is as large as their events make it."""
    with Broker(folder / "kafka") as broker:
        if asked.note_bytes:
            notes = Notes(asked.events, max(1, asked.events // 2), asked.note_bytes)
            broker.create(EVENTS, asked.partitions)
            notes.to_kafka(broker.bootstrap, EVENTS, asked.patience)
            further = [f"schemas={notes.schemas(folder / 'schemas')}"]
        else:
            load = Load(asked.events, asked.events // 5, 180, 1, "60s")
            load.to_kafka(broker.bootstrap, EVENTS, asked.partitions, folder / "generate.log", asked.patience)
            further = []
        engine = Tocsin(further=further)
        stage = Stage(broker.bootstrap, EVENTS, "memory", folder, 2, asked.memory_mb, asked.partitions, 1)
        broker.create(stage.alerts, asked.partitions)
        process, seen = engine.start(stage), []
        try:
            take_in(engine, process, asked.events, asked.patience, lambda: seen.append(memory_of(process)))
            cost = process.stop(engine.accepted)
        finally:
            process.kill()
        state = bytes_on_disk(stage.state)
    budget = asked.memory_mb * 1_000_000
    found = {"budget_bytes": budget, "peak_bytes": cost.peak_bytes, "of_budget": cost.peak_bytes / budget,
             "median_bytes": sorted(seen)[len(seen) // 2], "state_bytes": state, "partitions": asked.partitions,
             "events": asked.events, "note_bytes": asked.note_bytes, "events_per_cpu_s": asked.events / cost.cpu_s,
             "wall_s": cost.wall_s, "written_per_event": cost.written_bytes / asked.events}
    report.table([["memory", "budget", "peak", "of the budget", "at most", "state", "partitions", "events/CPU s", "written B/event"],
                  ["tocsin run", report.size(budget), report.size(cost.peak_bytes), f"{cost.peak_bytes / budget:.2f}", "1.20",
                   report.size(state), asked.partitions, report.rate(found["events_per_cpu_s"]),
                   report.rate(found["written_per_event"])]])
    return found


def replay(asked, folder):
    """Live, then the same again from the journal into an empty directory, then an audit."""
    load = Load(asked.replayed, asked.replayed // 5, 180, 1, "60s")
    with Broker(folder / "kafka") as broker:
        load.to_kafka(broker.bootstrap, EVENTS, 4, folder / "generate.log", asked.patience)
        engine = Tocsin()
        # One worker, and memory for everybody.
        stage = Stage(broker.bootstrap, EVENTS, "replay", folder, 1, 2_000, 4, 1)
        broker.create(stage.alerts, 4)
        process = engine.start(stage)
        try:
            take_in(engine, process, asked.replayed, asked.patience)
            time.sleep(2)
            live = process.stop(engine.accepted)
        finally:
            process.kill()
        shutil.rmtree(stage.state)
        process = engine.start(stage)
        try:
            until = time.monotonic() + asked.patience
            while process.log.read_text(errors="replace").count("partition restored, running") < 4:
                if process.ended() or time.monotonic() > until:
                    raise Failure(f"no restore: {process.last_words()}")
                time.sleep(SAMPLE_S)
            restored = process.stop(engine.accepted)
        finally:
            process.kill()
        command = [program("tocsin"), "audit", "--bootstrap", broker.bootstrap, "--set", f"application={stage.name}",
                   "--set", f"topics.events={EVENTS}", "--set", f"topics.alerts={stage.alerts}",
                   "--set", f"topics.dead_letters={stage.name}.dead-letters", "--set", f"memory_budget={stage.memory_mb}MB",
                   "--set", "time.idle_after=never", "--scratch", folder]
        audit = Process("tocsin audit", command, folder / "audit.log", without_settings())
        try:
            audit.wait(asked.patience)
            audited = audit.check()
        finally:
            audit.kill()
    rates = {name: asked.replayed / cost.cpu_s for name, cost in (("live", live), ("restore", restored), ("audit", audited))}
    rows = [["replay", "events/CPU s", "of the live rate", "at least", "wall s"]]
    for name, cost in (("live", live), ("restore", restored), ("audit", audited)):
        rows.append([name, report.rate(rates[name]), f"{rates[name] / rates['live']:.2f}", "-" if name == "live" else "3.00",
                     f"{cost.wall_s:.1f}"])
    report.table(rows)
    return {"events": asked.replayed, "events_per_cpu_s": rates}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    number = dict(type=int, metavar="N")
    parser.add_argument("what", nargs="*", default=[*ALONE, *ON_BROKER], metavar="WHAT",
                        help=f"{', '.join((*ALONE, *ON_BROKER))} (default: all)")
    parser.add_argument("--events", default=1_000_000, help="for memory (default: %(default)s)", **number)
    parser.add_argument("--partitions", default=64, help="for memory (default: %(default)s)", **number)
    parser.add_argument("--note-bytes", default=0,
                        help="for memory: no usual load, but notes so long, two a customer, for a large state of not so many events",
                        **number)
    parser.add_argument("--memory-mb", default=256, help="for memory, the budget (default: %(default)s)", **number)
    parser.add_argument("--replayed", default=300_000, help="events for replay (default: %(default)s)", **number)
    parser.add_argument("--patience", default=900, help="seconds for one run (default: %(default)s)", **number)
    parser.add_argument("--keep", action="store_true", help="leave files and logs where they are")
    asked = parser.parse_args()
    unknown = set(asked.what) - {*ALONE, *ON_BROKER}
    if unknown:
        raise Failure(f"nothing is called {', '.join(sorted(unknown))}; there are {', '.join((*ALONE, *ON_BROKER))}")
    about = report.machine()
    for what in asked.what:
        if what in ALONE:
            alone(what, asked.patience)
            continue
        print(f"\n{what}", flush=True)
        with Workshop(asked.keep) as folder:
            found = {"memory": memory, "replay": replay}[what](asked, folder)
        report.write(target() / f"bench/{what}.json", {"machine": about, "found": found})


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(f"bench-targets: {failure}")
