"""Deletes what lies before an offset of a partition, as retention does.

  $(processor/tests/tools/venv.sh) processor/tests/tools/delete_records.py --bootstrap 127.0.0.1:9092 --topic alerts \\
      --partition 0 --before 10

Exit codes: 0 done; 1 error.
"""

import argparse
import sys

from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

TIMEOUT_S = 30


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bootstrap", required=True, metavar="HOST:PORT[,...]")
    parser.add_argument("--topic", required=True)
    parser.add_argument("--partition", type=int, required=True)
    parser.add_argument("--before", type=int, required=True, metavar="OFFSET")
    asked = parser.parse_args()
    admin = AdminClient({"bootstrap.servers": asked.bootstrap, "log_level": 0})
    place = TopicPartition(asked.topic, asked.partition, asked.before)
    try:
        for future in admin.delete_records([place]).values():
            future.result(TIMEOUT_S)
    except KafkaException as error:
        print(f"delete_records.py: {asked.bootstrap}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
