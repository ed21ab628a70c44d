"""The records of a prefix's topics as a reader of committed records gets them."""

from functools import cached_property

from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, Consumer, KafkaError, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from .stored import KEYED, TABLES, Registered, Stored


class Topics:
    """The topics of one prefix, their values in single-object framing."""

    def __init__(self, bootstrap, prefix, schemas):
        self.bootstrap, self.prefix, self.schemas = bootstrap, prefix, schemas
        self.registered = Registered(prefix, schemas)

    @cached_property
    def admin(self):
        return AdminClient({"bootstrap.servers": self.bootstrap})

    def partitions(self):
        """How many partitions the round-keyed topics have."""
        name = f"{self.prefix}proposals"
        found = self.admin.list_topics(name, timeout=30)
        return len(found.topics[name].partitions)

    def read(self, places):
        """{(topic, partition): records} of these places, each to its end."""
        settings = {
            "bootstrap.servers": self.bootstrap,
            "group.id": "unused",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
        }
        consumer, found = Consumer(settings), {place: [] for place in places}
        consumer.assign([TopicPartition(self.prefix + t, p, 0) for t, p in places])
        unread = set(places)
        while unread:
            for message in consumer.consume(10_000, 1.0):
                place = (message.topic().removeprefix(self.prefix), message.partition())
                if message.error() is None:
                    found[place].append(self.stored(place, message))
                elif message.error().code() == KafkaError._PARTITION_EOF:
                    unread.discard(place)
                else:
                    raise RuntimeError(message.error())
        consumer.close()
        return found

    def stored(self, place, message):
        kind, when = message.timestamp()
        if kind != TIMESTAMP_LOG_APPEND_TIME and place[0] != "rounds":
            raise ValueError(f"`{place[0]}` does not take its time from the broker")
        headers = dict(message.headers() or [])
        value = raw = message.value()
        if value is not None:
            value = self.registered.framed("acp-control" in headers, place[0], value)
        return Stored(*place, message.offset(), when, message.key(), value, headers, raw)

    def learn(self):
        """Learns which ids are ours."""
        for stored in self.read([("schemas", 0)])["schemas", 0]:
            self.registered.learn(stored)

    @cached_property
    def last(self):
        """What is asked of every partition for its end."""
        places = [(topic, 0) for topic in TABLES]
        places += [(topic, p) for topic in KEYED for p in range(self.partitions())]
        return {TopicPartition(self.prefix + t, p): OffsetSpec.latest() for t, p in places}

    def ends(self):
        """{(topic, partition): the offset after the last record}, committed or not."""
        answers = self.admin.list_offsets(self.last, request_timeout=30)
        return {(at.topic, at.partition): a.result().offset for at, a in answers.items()}
