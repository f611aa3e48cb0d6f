"""Events that take much room, for a large state of not so many events: a type of its own, dropped in, with a long text."""

import base64
import json
import random
import time

from confluent_kafka import Producer

from .process import Failure

SCHEMA = {
    "type": "record", "name": "note", "namespace": "tocsin.events", "doc": "What somebody wrote down of a customer.",
    "fields": [
        {"name": "id", "type": "string"},
        {"name": "type", "type": "string", "default": "note"},
        {"name": "customer_id", "type": "string"},
        {"name": "occurred_at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "text", "type": ["null", "string"], "default": None},
    ],
}
START_MS, SPAN_MS = 1_767_225_600_000, 180 * 86_400_000
# Texts are cut from this many bytes: the compressor sees a few KB at a time, so that they do not shrink.
POOL = 16 << 20


class Notes:
    """Notes on customers by chance, an equal time apart."""

    def __init__(self, events, customers, text_bytes, seed=1):
        self.events, self.customers, self.text_bytes, self.seed = events, customers, text_bytes, seed

    def schemas(self, folder):
        """A directory with the type, for the setting `schemas`."""
        folder.mkdir()
        (folder / "note.avsc").write_text(json.dumps(SCHEMA))
        return folder

    def lines(self):
        """(key, value)"""
        dice = random.Random(self.seed)
        pool, length = base64.b64encode(dice.randbytes(POOL)), self.text_bytes
        for number in range(self.events):
            start, customer = dice.randrange(len(pool) - length), dice.randrange(self.customers)
            at = START_MS + number * SPAN_MS // self.events
            yield b"c-%d" % customer, (b'{"id":"n-%d","type":"note","customer_id":"c-%d","occurred_at":%d,"text":"%b"}'
                                       % (number, customer, at, pool[start:start + length]))

    def to_kafka(self, bootstrap, topic, patience_s):
        """Into a topic that is there."""
        producer = Producer({"bootstrap.servers": bootstrap, "log_level": 0, "partitioner": "murmur2_random", "linger.ms": 20,
                             "queue.buffering.max.messages": 100_000, "batch.size": 1 << 20, "enable.idempotence": True})
        until = time.monotonic() + patience_s
        for key, value in self.lines():
            while True:
                try:
                    producer.produce(topic, value, key)
                    break
                except BufferError:
                    producer.poll(0.05)
                    if time.monotonic() > until:
                        raise Failure(f"not all notes were sent in {patience_s} s") from None
            producer.poll(0)
        if producer.flush(60):
            raise Failure("the broker does not take the last notes")
