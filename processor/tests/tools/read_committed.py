"""Prints what a consumer that reads only committed transactions sees of a topic: one JSON object a line and record.

Written against another client binding than the processor's and sharing no code with it, so that a test does not ask
the accused for the evidence. It joins no group, commits nothing and may run beside anything.

  $(processor/tests/tools/venv.sh) processor/tests/tools/read_committed.py --bootstrap 127.0.0.1:9092 --topic alerts

Each line: {"partition", "offset", "timestamp" (ms, null without one), "key", "value", "headers" ([[name, value], ...])}.
What is not UTF-8 is {"base64": "..."}; what is absent is null. Records come in order within a partition only.
It ends once every partition was read to its end as readers of committed records see it (behind an open transaction
nothing is seen), or after --count records. With --follow it goes on past the ends until it has them.

Exit codes: 0 read to the end, or --count records; 1 error, or the time ran out first.
"""

import argparse
import base64
import json
import sys
import time

from confluent_kafka import (
    OFFSET_BEGINNING, TIMESTAMP_NOT_AVAILABLE, Consumer, KafkaError, KafkaException, TopicPartition,
)

ASK_TIMEOUT_S = 10


class Failure(Exception):
    """Something the user can act on."""


def readable(data):
    if data is None:
        return None
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode("ascii")}


def as_line(message):
    kind, timestamp = message.timestamp()
    key, value = message.key(), message.value()
    return json.dumps({
        "partition": message.partition(),
        "offset": message.offset(),
        "timestamp": None if kind == TIMESTAMP_NOT_AVAILABLE else timestamp,
        "key": readable(key),
        "value": readable(value),
        "headers": [[name, readable(data)] for name, data in message.headers() or []],
    }, ensure_ascii=False)


def records(bootstrap, topic, count, follow, timeout_s, first):
    """Yields messages until each partition's last stable offset was reached (not when following), or `count` were seen."""
    deadline = time.monotonic() + timeout_s
    consumer = Consumer({
        "bootstrap.servers": bootstrap,
        "group.id": "read-committed-without-a-group",  # asked for by the client, never joined
        "isolation.level": "read_committed",
        "enable.auto.commit": False,
        "enable.partition.eof": True,
        "auto.offset.reset": "error",
        "allow.auto.create.topics": False,
        "log_level": 0,  # what goes wrong is told below, once
        # Else the client waits half a second before it asks again at the end of a partition.
        "fetch.error.backoff.ms": 50,
        "fetch.wait.max.ms": 100,
    })
    try:
        known = consumer.list_topics(topic, timeout=min(ASK_TIMEOUT_S, timeout_s)).topics[topic]
        if known.error is not None or not known.partitions:
            raise Failure(f"no topic {topic} at {bootstrap}: {known.error or 'it has no partitions'}")
        if first and len(first) != len(known.partitions):
            raise Failure(f"--from names {len(first)} offsets, but {topic} has {len(known.partitions)} partitions")
        consumer.assign([TopicPartition(topic, number, first[number] if first else OFFSET_BEGINNING)
                         for number in known.partitions])
        unread = set(known.partitions)
        seen = 0
        while unread and (count is None or seen < count):
            left = deadline - time.monotonic()
            if left <= 0:
                raise Failure(f"{seen} records of {topic} in {timeout_s:g} s, and then "
                              + (f"no more of the {count} waited for" if follow else f"partitions {sorted(unread)} not at "
                                 "their end; is the broker well, or is a longer --timeout needed?"))
            for message in consumer.consume(1000, timeout=min(left, 0.2)):
                problem = message.error()
                if problem is None:
                    # What came in after a partition's end was seen would be a part of the news, with a hole before it.
                    if message.partition() not in unread:
                        continue
                    seen += 1
                    yield message
                    if seen == count:
                        return
                elif problem.code() == KafkaError._PARTITION_EOF:
                    if not follow:
                        unread.discard(message.partition())
                elif not problem.retriable():
                    raise Failure(f"{topic} partition {message.partition()}: {problem}")
    finally:
        consumer.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bootstrap", required=True, metavar="HOST:PORT[,...]")
    parser.add_argument("--topic", required=True)
    parser.add_argument("--count", type=int, metavar="N", help="end after this many records")
    parser.add_argument("--follow", action="store_true", help="do not end at the ends: wait for --count records")
    parser.add_argument("--from", dest="first", metavar="OFFSET,...", type=lambda text: [int(n) for n in text.split(",")],
                        help="where to begin, for each partition in its order (default: at the beginning)")
    parser.add_argument("--timeout", type=float, default=30, metavar="S", help="seconds for everything (default: 30)")
    asked = parser.parse_args()
    if asked.follow and asked.count is None:
        parser.error("--follow needs --count: how many records are waited for?")
    try:
        for message in records(asked.bootstrap, asked.topic, asked.count, asked.follow, asked.timeout,
                               asked.first):
            print(as_line(message))
        sys.stdout.flush()
    except Failure as failure:
        sys.stdout.flush()
        print(f"read_committed.py: {failure}", file=sys.stderr)
        return 1
    except KafkaException as error:
        sys.stdout.flush()
        print(f"read_committed.py: {asked.bootstrap}: {error.args[0]}; is it up?", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # Whoever reads our lines has seen enough; devnull, so that the interpreter's own last flush finds a place.
        sys.stdout = open("/dev/null", "w")
    return 0


if __name__ == "__main__":
    sys.exit(main())
