"""How long is the way from an event that is produced to its alert, as a reader of committed records sees it?

At each rate Tocsin and the bare loop (benches/peers/floor) take turns; what is above the loop is Tocsin's own. One event
in a hundred is a complaint, and rules.yaml beside this has an alert for each; the loop forwards one record in a hundred.
"""

import argparse
import json
import statistics
import sys
import time
from pathlib import Path

from harness import report
from harness.broker import Broker
from harness.engines import Floor, Stage, Tocsin
from harness.load import in_turns, program, target
from harness.process import Failure, Workshop, run

RULES = Path(__file__).with_name("rules.yaml")
COMPLAINT_EVERY = 100
READY_S = 30
WARMING = 1 / 3  # of the time, by `latency` itself
FIGURES = ("p50_ms", "p90_ms", "p99_ms", "max_ms")


def one_run(engine, stage, rate, asked):
    """What the program `latency` says of an engine that is up."""
    process = engine.start(stage)
    try:
        time.sleep(asked.warm_up)
        if process.ended():
            raise Failure(f"{engine.name} ended by itself: {process.last_words()}")
        log = stage.folder / f"{stage.name}.latency.log"
        command = [program("latency"), stage.bootstrap, stage.events, stage.alerts, rate, asked.seconds]
        run("latency", command, log, asked.seconds + READY_S + 60)
        found = json.loads(log.with_suffix(".out").read_text())
        expected = rate * asked.seconds * (1 - WARMING) / COMPLAINT_EVERY
        found["share_seen"] = found["count"] / expected
        found["cpu_s"] = process.stop(engine.accepted).cpu_s
        return found
    finally:
        process.kill()


def measure(asked, folder, broker):
    engines = {engine.name: engine for engine in (Tocsin(RULES), Floor())}

    def once(name, rate, number):
        run_name = f"{name}-{rate}-{number}"
        stage = Stage(broker.bootstrap, f"events-{run_name}", run_name, folder, 1, 600, asked.partitions, COMPLAINT_EVERY)
        for topic in (stage.events, stage.alerts):
            broker.create(topic, asked.partitions)
        return one_run(engines[name], stage, rate, asked)

    # A broker that has just started is slow: Java has not compiled it yet. This run is not counted.
    once(Floor.name, max(asked.rates), "first")
    runs = {}
    for rate in asked.rates:
        runs[rate] = {name: [] for name in engines}
        for number, name in in_turns(list(engines), asked.rounds):
            found = once(name, rate, number)
            runs[rate][name].append(found)
            print(f"{rate}/s, round {number + 1}, {name}: p50 {found['p50_ms']:.1f} ms, p99 {found['p99_ms']:.1f} ms, "
                  f"{found['count']} seen", flush=True)
    return runs


def table(runs):
    rows = [["events a second", "engine", *(name.removesuffix("_ms") + " ms" for name in FIGURES), "seen"]]
    for rate, engines in runs.items():
        middle = {engine: {name: statistics.median(found[name] for found in rounds) for name in (*FIGURES, "share_seen")}
                  for engine, rounds in engines.items()}
        for engine, found in middle.items():
            rows.append([rate, engine, *(f"{found[name]:.1f}" for name in FIGURES), f"{found['share_seen']:.0%}"])
        above = [f"{middle[Tocsin.name][name] - middle[Floor.name][name]:+.1f}" for name in FIGURES]
        rows.append([rate, "above the loop", *above, ""])
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rates", default="1000,5000", metavar="N,...", help="events a second (default: %(default)s)")
    parser.add_argument("--seconds", type=int, default=10, metavar="N", help="of each run (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="default: %(default)s")
    parser.add_argument("--partitions", type=int, default=4, metavar="N", help="default: %(default)s")
    parser.add_argument("--warm-up", type=float, default=5, metavar="N", help="seconds to join the group (default: %(default)s)")
    parser.add_argument("--json", metavar="FILE", help="where the figures go as well")
    parser.add_argument("--keep", action="store_true", help="leave files and logs where they are")
    asked = parser.parse_args()
    asked.rates = [int(rate) for rate in asked.rates.split(",")]
    about = report.machine()
    with Workshop(asked.keep) as folder, Broker(folder / "kafka") as broker:
        runs = measure(asked, folder, broker)
    print("\nmedians of the rounds")
    report.table(table(runs))
    print()
    report.write(asked.json or target() / "bench/latency.json", {"machine": about, "asked": vars(asked), "runs": runs})


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(f"bench-latency: {failure}")
