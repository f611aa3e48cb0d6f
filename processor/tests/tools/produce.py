"""Writes records to a topic: each line of standard input is one, in the form in which read_committed.py prints them.

As that one, it is written against another client binding than the processor's and shares no code with it.

  $(processor/tests/tools/venv.sh) processor/tests/tools/produce.py --bootstrap 127.0.0.1:9092 --topic events < records

A record: {"key", "value", "timestamp" (ms), "partition", "headers" ([[name, value], ...])}, each of which may be left
out; {"base64": "..."} stands for what is not UTF-8. Records of one partition keep their order.
A command: {"do": "begin" | "commit" | "abort" | "flush"}; the first three need --transactional-id. Each is answered
with a line, once it is done. At the end of the input all is written, and the number of records is printed.

Exit codes: 0 all is written; 1 something could not be written.
"""

import argparse
import base64
import json
import sys

from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient, NewTopic

TIMEOUT_S = 30


class Failure(Exception):
    """Something the user can act on."""


def as_bytes(value):
    if isinstance(value, dict):
        return base64.b64decode(value["base64"])
    return value


def create(bootstrap, topic, partitions):
    """A topic whose records keep the timestamps that they are given here."""
    new = NewTopic(topic, num_partitions=partitions, config={"message.timestamp.type": "CreateTime"})
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    try:
        admin.create_topics([new])[topic].result(TIMEOUT_S)
    except KafkaException as error:
        if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
            raise


class Writer:
    def __init__(self, asked):
        settings = {"bootstrap.servers": asked.bootstrap, "partitioner": asked.partitioner, "enable.idempotence": True,
                    "log_level": 0, "linger.ms": 20}
        if asked.transactional_id:
            settings["transactional.id"] = asked.transactional_id
        self.topic, self.written, self.failed = asked.topic, 0, None
        self.producer = Producer(settings)
        if asked.transactional_id:
            self.producer.init_transactions(TIMEOUT_S)

    def delivered(self, error, _message):
        if error is not None:
            self.failed = self.failed or error
        else:
            self.written += 1

    def write(self, record):
        given = {name: record[name] for name in ("partition", "timestamp") if record.get(name) is not None}
        headers = [(name, as_bytes(value)) for name, value in record.get("headers", [])]
        while True:
            try:
                self.producer.produce(self.topic, key=as_bytes(record.get("key")), value=as_bytes(record.get("value")),
                                      headers=headers, on_delivery=self.delivered, **given)
                break
            except BufferError:
                self.producer.poll(0.1)
        self.producer.poll(0)

    def do(self, command):
        if command == "begin":
            self.producer.begin_transaction()
        elif command == "commit":
            self.producer.commit_transaction(TIMEOUT_S)
        elif command == "abort":
            self.producer.abort_transaction(TIMEOUT_S)
        elif command == "flush":
            self.flush()
        else:
            raise Failure(f"no command {command}: begin, commit, abort or flush?")
        print(f"{command} done", flush=True)

    def flush(self):
        left = self.producer.flush(TIMEOUT_S)
        if left or self.failed:
            raise Failure(f"{left} records of {self.topic} were not written: {self.failed or 'no answer in time'}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bootstrap", required=True, metavar="HOST:PORT[,...]")
    parser.add_argument("--topic", required=True)
    parser.add_argument("--create", type=int, metavar="N", help="create the topic, if it is missing, with N partitions")
    parser.add_argument("--partitioner", default="murmur2_random", metavar="NAME",
                        help="as librdkafka calls them: murmur2_random (as Java clients), consistent_random (CRC-32)")
    parser.add_argument("--transactional-id", metavar="ID")
    asked = parser.parse_args()
    try:
        if asked.create:
            create(asked.bootstrap, asked.topic, asked.create)
        writer = Writer(asked)
        for line in sys.stdin:
            record = json.loads(line)
            if "do" in record:
                writer.do(record["do"])
            else:
                writer.write(record)
        writer.flush()
    except (Failure, KafkaException) as error:
        print(f"produce.py: {asked.bootstrap}: {error}", file=sys.stderr)
        return 1
    print(writer.written)
    return 0


if __name__ == "__main__":
    sys.exit(main())
