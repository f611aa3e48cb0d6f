"""Are they the same alerts? As multisets: the order between customers is not everybody's."""

import json
from collections import Counter

from .process import Failure

NAMED_BY = ("rule_id", "customer_id", "transition", "reason", "occurred_at", "fired_at")
SHOWN = 5


def counted(lines):
    """How often each transition comes among alert records, one a line."""
    records = (json.loads(line) for line in lines)
    return Counter(tuple(record[name] for name in NAMED_BY) for record in records)


def of_file(path):
    with open(path, "rb") as lines:
        return counted(lines)


def compare(name, found, expected):
    """Says so if they are equal, and which are not if they are not."""
    if found == expected:
        return f"{sum(expected.values())} transitions, the same"
    told = [f"{name}: its alerts are not the expected ones"]
    for what, some in (("missing", expected - found), ("beyond them", found - expected)):
        told.append(f"  {what}: {sum(some.values())}")
        told += [f"    {' '.join(map(str, alert))}" for alert in sorted(some)[:SHOWN]]
    raise Failure("\n".join(told))
