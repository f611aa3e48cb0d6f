"""Tocsin and its peers: the same three rules (rules.yaml) over the same events of one broker, exactly once.

In each round every engine starts from nothing, reads all events and is stopped; another one is first in each round. The
alerts of each are compared with those of a backtest with as many partitions. The floor thinks nothing, so it has none.
"""

import sys
import time

from harness import alerts, report
from harness.broker import Broker
from harness.engines import Floor, KafkaStreams, Stage, Tocsin
from harness.load import RULES, Load, arguments, in_turns, program, target
from harness.process import Failure, Workshop, bytes_on_disk, run, without_settings

EVENTS = "events"
SAMPLE_S = 0.2
# For the last timers and the last transaction, which come after the last event.
SETTLE_S = 2


def expected_alerts(asked, load, folder):
    events, found = folder / "events.jsonl", folder / "expected.jsonl"
    load.to_file(events, asked.patience)
    command = [program("tocsin"), "backtest", "--rules", RULES, "--events", events, "--output", found,
               "--partitions", asked.partitions]
    run("tocsin backtest", command, folder / "backtest.log", asked.patience, without_settings())
    counted = alerts.of_file(found)
    events.unlink()
    found.unlink()
    return counted


def one_run(engine, stage, asked):
    """Starts an engine, has it take in all events, stops it."""
    process = engine.start(stage)
    try:
        until, taken = time.monotonic() + asked.patience, 0
        while taken < asked.events:
            if process.ended():
                raise Failure(f"{engine.name} ended by itself: {process.last_words()}")
            if time.monotonic() > until:
                raise Failure(f"{engine.name} took in {taken} of {asked.events} events in {asked.patience} s; "
                              f"its log is {process.log}")
            time.sleep(SAMPLE_S)
            taken = engine.taken(process)
            process.sample(taken)
        time.sleep(SETTLE_S)
        return process.stop(engine.accepted)
    finally:
        process.kill()


def measure(asked, folder, broker, engines, expected):
    forward_every = max(1, asked.events // max(1, sum(expected.values())))
    runs, same = {engine.name: [] for engine in engines}, {}
    by_name = {engine.name: engine for engine in engines}
    for number, name in in_turns(list(by_name), asked.rounds):
        stage = Stage(broker.bootstrap, EVENTS, f"{name}-{number}", folder, asked.threads, asked.memory_mb,
                      asked.partitions, forward_every)
        broker.create(stage.alerts, asked.partitions)
        cost = one_run(by_name[name], stage, asked)
        found = cost.per_event(asked.events)
        found["wall_s"] -= SETTLE_S
        found["steady_events_per_cpu_s"] = cost.steady(asked.events)
        found["topics_per_event"] = broker.bytes_in(stage.name) / asked.events
        found["state_bytes"] = bytes_on_disk(stage.state) if stage.state.exists() else None
        runs[name].append(found)
        if name != Floor.name:
            same[name] = alerts.compare(name, alerts.counted(broker.values(stage.alerts)), expected)
        broker.delete(f"{stage.name}")
        print(f"round {number + 1}, {name}: {report.rate(found['events_per_cpu_s'])} events per CPU second, "
              f"{found['wall_s']:.1f} s; {same.get(name, 'no alerts')}", flush=True)
    return runs, same


def main():
    parser = arguments(__doc__, events=300_000, customers=60_000)
    parser.add_argument("--partitions", type=int, default=4, metavar="N", help="of the events topic (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=2, metavar="N", help="workers, stream threads (default: %(default)s)")
    parser.add_argument("--memory-mb", type=int, default=600, metavar="N", help="for caches and buffers (default: %(default)s)")
    parser.add_argument("--engines", default="tocsin,kafka-streams,floor", metavar="NAME,...", help="default: %(default)s")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of Tocsin; may be repeated")
    asked = parser.parse_args()
    asked.json = asked.json or str(target() / "bench/peers.json")
    about, load = report.machine(), Load.asked(asked)
    with Workshop(asked.keep) as folder, Broker(folder / "kafka") as broker:
        makers = {"tocsin": lambda: Tocsin(further=asked.set), "floor": Floor, "kafka-streams": lambda: KafkaStreams(folder)}
        unknown = set(asked.engines.split(",")) - set(makers)
        if unknown:
            raise Failure(f"no engine is called {', '.join(sorted(unknown))}; there are {', '.join(makers)}")
        engines = [makers[name]() for name in asked.engines.split(",")]
        expected = expected_alerts(asked, load, folder)
        load.to_kafka(broker.bootstrap, EVENTS, asked.partitions, folder / "generate.log", asked.patience)
        runs, same = measure(asked, folder, broker, engines, expected)
    print(f"\n{asked.events} events of {asked.customers} customers, {asked.days} days, {asked.partitions} partitions, "
          f"{asked.threads} threads, {asked.memory_mb} MB for caches\n")
    report.table(report.figures(runs))
    if Tocsin.name in runs:
        for what, figure in (("whole runs", "events_per_cpu_s"), ("steady", "steady_events_per_cpu_s")):
            print(f"\n{what}")
            report.table(report.ratios(runs, Tocsin.name, figure))
    print()
    report.write(asked.json, {"machine": about, "load": vars(asked), "alerts": same, "runs": runs})


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(f"bench-peers: {failure}")
