"""Tables for people, JSON for programs."""

import json
import os
import platform
import statistics
import subprocess
from pathlib import Path


def spread(values):
    """min, median, max."""
    return min(values), statistics.median(values), max(values)


def rate(value):
    return f"{value:,.0f}"


def size(value):
    return f"{value / 1e6:,.0f} MB"


def table(rows, out=print):
    """The first row is the head; the first column is text, the others are numbers."""
    widths = [max(len(str(row[column])) for row in rows) for column in range(len(rows[0]))]
    for place, row in enumerate(rows):
        cells = [str(cell).ljust(width) if not column else str(cell).rjust(width)
                 for column, (cell, width) in enumerate(zip(row, widths))]
        out("  ".join(cells).rstrip())
        if not place:
            out("  ".join("-" * width for width in widths))


def figures(runs):
    """A row for each engine; `runs` is engine -> [what a round came to]."""
    rows = [["engine", "events/CPU s: min", "median", "max", "steady", "wall s", "peak", "written B/event", "topics B/event",
             "state on disk"]]
    for engine, rounds in runs.items():
        of = lambda name: [found[name] for found in rounds if found.get(name) is not None]
        least, middle, most = spread(of("events_per_cpu_s"))
        steady, state, topics = of("steady_events_per_cpu_s"), of("state_bytes"), of("topics_per_event")
        rows.append([engine, rate(least), rate(middle), rate(most), rate(statistics.median(steady)) if steady else "-",
                     f"{statistics.median(of('wall_s')):.1f}", size(max(of("peak_bytes"))),
                     f"{statistics.median(of('written_per_event')):,.0f}",
                     f"{statistics.median(topics):,.0f}" if topics else "-", size(max(state)) if state else "-"])
    return rows


def ratios(runs, of, figure="events_per_cpu_s"):
    """How many times as many events per CPU second `of` takes in, round by round."""
    rows = [[f"{of} against", "min", "median", "max"]]
    for engine, rounds in runs.items():
        pairs = [(mine.get(figure), other.get(figure)) for mine, other in zip(runs[of], rounds)]
        found = [mine / other for mine, other in pairs if mine and other]
        if engine != of and found:
            rows.append([engine, *(f"{value:.2f}" for value in spread(found))])
    return rows


def machine():
    model = [line.partition(": ")[2] for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line]
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    return {"cpu": model[0] if model else platform.machine(), "cores": os.cpu_count(), "kernel": platform.release(),
            "load_before": os.getloadavg()[0], "commit": commit}


def write(path, content):
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n")
    print(f"written: {path}")
