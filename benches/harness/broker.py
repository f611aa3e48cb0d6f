"""A broker of our own on this machine, its topics, and what lies in them."""

import subprocess
import time
from pathlib import Path

from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from .load import ROOT
from .process import Failure

SCRIPT = ROOT / "deploy/local/kafka"
TIMEOUT_S = 60
STARTS_WITHIN_S = 300


class Broker:
    """Runs from here to the end of the `with`; the script knows its process and ends no other."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.bootstrap = None

    def __enter__(self):
        up = subprocess.run([SCRIPT, "up", "--dir", self.folder, "--timeout", str(STARTS_WITHIN_S)], capture_output=True, text=True)
        if up.returncode:
            raise Failure(f"no broker: {up.stderr.strip()}")
        self.bootstrap = up.stdout.strip().removeprefix("bootstrap=")
        self.admin = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})
        return self

    def __exit__(self, *_):
        subprocess.run([SCRIPT, "down", "--dir", self.folder], capture_output=True, check=False)

    def create(self, topic, partitions):
        self.admin.create_topics([NewTopic(topic, num_partitions=partitions)])[topic].result(TIMEOUT_S)

    def delete(self, prefix):
        """The topics of a run that is over: the next one is to find the disk as this one did."""
        topics = [topic for topic in self.admin.list_topics(timeout=TIMEOUT_S).topics if topic.startswith(prefix)]
        for done in self.admin.delete_topics(topics).values() if topics else ():
            done.result(TIMEOUT_S)

    def bytes_in(self, prefix):
        """Of all topics whose names begin so: alerts, journals, changelogs."""
        return sum(path.stat().st_size for path in self.folder.glob(f"data-*/{prefix}*/*.log"))

    def values(self, topic):
        """All committed records of a topic, which nobody writes to any more."""
        consumer = Consumer({"bootstrap.servers": self.bootstrap, "group.id": "bench-reader", "log_level": 0,
                             "isolation.level": "read_committed", "enable.auto.commit": False,
                             "enable.partition.eof": True})
        try:
            partitions = consumer.list_topics(topic, timeout=TIMEOUT_S).topics[topic].partitions
            consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
            ended, until = set(), time.monotonic() + TIMEOUT_S
            while len(ended) < len(partitions):
                if time.monotonic() > until:
                    raise Failure(f"the end of {topic} does not come")
                for message in consumer.consume(10_000, timeout=1):
                    if message.error():
                        ended.add(message.partition())
                    else:
                        until = time.monotonic() + TIMEOUT_S
                        yield message.value()
        finally:
            consumer.close()
