"""An agent on the topics themselves, with confluent-kafka: `pip install quorate[kafka]`.

Records are Avro by the schemas that come with this package, in the framing of a schema registry,
which operators fill: nothing is registered here.
"""

from __future__ import annotations

import hashlib
import time
from importlib.resources import files
from typing import Any, Mapping

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer
from confluent_kafka.schema_registry import SchemaRegistryClient, topic_subject_name_strategy
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.serialization import MessageField, SerializationContext

from . import errors
from .backoff import Backoff
from .client import response
from .loop import LOG, Loop, OnError, is_past
from .outbox import Kept
from .records import Answer, Proposal, Round

# A zero byte and the schema's id, before the record itself.
_FRAMING = 5
_BACKOFF_MAX = 10.0
# How long the broker may take to acknowledge an answer before it is sent again, in seconds.
_DELIVERY = 30.0


class Agent(Loop):
    """An agent that reads proposals and appends responses itself; `on_proposal`, `run` and `stop`
    are as those of `quorate.Agent`, as are `keep` and `on_error`.

    What differs: rounds are judged one after the other, every proposal of a domain is judged,
    whether or not this agent is listed for it, and an answer counts as given once the brokers have
    it. What became of it, `acp.outcomes` and `acp.dead-letters` say. A round's deadline is known
    only where the proposal names one.

    `agent_id` is whom the agent speaks as; the topics' access lists are the boundary. `prefix` is
    that of the topics' names; the consumer group is `<prefix>agent-<agent_id>`. `settings` are
    librdkafka's, such as those of TLS and SASL, `registry_settings` those of confluent-kafka's
    registry client. A proposal older than `oldest` seconds, by its append time, is passed over: its
    round is over.
    """

    def __init__(
        self,
        bootstrap: str,
        registry: str,
        agent_id: str,
        *,
        prefix: str = "acp.",
        keep: str | None = None,
        on_error: OnError = "abstain",
        oldest: float = 3600.0,
        settings: Mapping[str, Any] | None = None,
        registry_settings: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(keep, on_error)
        self._agent_id, self._oldest = agent_id, oldest
        self._proposals, self._responses = f"{prefix}proposals", f"{prefix}responses"
        self._settings = {"bootstrap.servers": bootstrap, **(settings or {})}
        self._group = f"{prefix}agent-{agent_id}"
        self._registry = SchemaRegistryClient({"url": registry, **(registry_settings or {})})
        by_topic = {"subject.name.strategy": topic_subject_name_strategy}
        self._read = AvroDeserializer(self._registry, schema("Proposal"), conf=by_topic)
        # By what the registry has: it may write the same schema otherwise, or a newer one, whose
        # further fields have defaults.
        self._write = AvroSerializer(
            self._registry,
            conf={**by_topic, "auto.register.schemas": False, "use.latest.version": True},
        )

    def run(self) -> None:
        """Takes part until `stop`; brokers and a registry that are away are waited for."""
        if not self._handlers:
            raise errors.Malformed("malformed", "no function judges anything: use `on_proposal`")
        # Murmur2 of the key, as Java clients have it: the answer lands where its proposal lies.
        producer = Producer(
            {
                **self._settings,
                "enable.idempotence": True,
                "partitioner": "murmur2_random",
                "message.timeout.ms": int(_DELIVERY * 1000),
            }
        )
        consumer = Consumer(
            {
                **self._settings,
                "group.id": self._group,
                "auto.offset.reset": "earliest",
                "isolation.level": "read_committed",
                # A proposal is read once it is dealt with, and not before.
                "enable.auto.offset.store": False,
            }
        )
        consumer.subscribe([self._proposals])
        try:
            for kept in self._outbox.waiting():
                if not is_past(kept.deadline):
                    self._get_through(producer, kept)
            while not self._stop.is_set():
                message = consumer.poll(0.5)
                if message is not None and self._deal(producer, message):
                    _passed(consumer, message)
        finally:
            consumer.close()
            self._stop.clear()

    def _deal(self, producer: Producer, message: Message) -> bool:
        """Deals with a proposal; whether it is dealt with."""
        error = message.error()
        if error is not None:
            if error.fatal():
                raise KafkaException(error)
            LOG.warning("proposals cannot be read now: %s", error)
            return False
        value = message.value()
        # A record without a value only carries time.
        if value is None or self._is_old(message):
            return True
        round = self._round(value)
        if round is None:
            # It could not be waited until it can be read, or never can.
            return not self._stop.is_set()
        if self._handler(round.domain) is None:
            return True

        def record(answer: Answer) -> dict[str, object]:
            made = response(round, answer, f"{self._agent_id}.{round.proposal_id}")
            return {**made, "agent_id": self._agent_id}

        kept = self._answer(round, record)
        return kept is None or self._get_through(producer, kept)

    def _is_old(self, message: Message) -> bool:
        _, appended = message.timestamp()
        return appended > 0 and time.time() - appended / 1000.0 > self._oldest

    def _round(self, value: bytes) -> Round | None:
        """The round of a proposal; None if it is none, or this is to stop."""
        backoff = Backoff(_BACKOFF_MAX, self._stop)
        while not self._is_known(value):
            if not backoff.wait():
                return None
        try:
            record = self._read(value, SerializationContext(self._proposals, MessageField.VALUE))
            proposal = Proposal.of({**record, "deadline": _millis(record["deadline"])})
        except Exception as error:
            LOG.error("a record is no proposal: %s", error)
            return None
        digest = hashlib.sha256(value[_FRAMING:]).hexdigest()
        return Round(proposal.proposal_id, proposal, digest, proposal.deadline, self._agent_id)

    def _is_known(self, value: bytes) -> bool:
        """Whether all is known of a value's schema that ever will be."""
        if len(value) < _FRAMING or value[0] != 0:
            return True
        try:
            self._registry.get_schema(int.from_bytes(value[1:_FRAMING], "big"))
        except SchemaRegistryError as error:
            if error.http_status_code != 404:
                LOG.warning("the registry does not answer: %s", error)
            return error.http_status_code == 404
        except Exception as error:
            LOG.warning("the registry cannot be asked: %s", error)
            return False
        return True

    def _get_through(self, producer: Producer, kept: Kept) -> bool:
        """Appends an answer, however long it takes, while it can count; whether it is there."""
        backoff = Backoff(_BACKOFF_MAX, self._stop)
        record = dict(kept.record or {})
        record["proposal_digest"] = bytes.fromhex(str(record["proposal_digest"]))
        context = SerializationContext(self._responses, MessageField.VALUE)
        while True:
            failed: Exception | KafkaError | None = None
            try:
                failed = _appended(
                    producer, self._responses, kept.proposal_id, self._write(record, context)
                )
            except Exception as error:
                failed = error
            if isinstance(failed, KafkaError) and failed.fatal():
                raise KafkaException(failed)
            if failed is None:
                LOG.info("round %s: %s appended", kept.proposal_id, record["verdict"])
                self._outbox.over(kept.proposal_id, "appended")
                return True
            LOG.warning("round %s: not appended yet: %s", kept.proposal_id, failed)
            if is_past(kept.deadline):
                LOG.error("round %s: it is over, and the answer was not appended", kept.proposal_id)
                return True
            if not backoff.wait():
                return False


def schema(name: str) -> str:
    """The schema of a record, as this package has it."""
    return files("quorate").joinpath("schemas").joinpath(f"{name}.avsc").read_text(encoding="utf-8")


def _passed(consumer: Consumer, message: Message) -> None:
    try:
        consumer.store_offsets(message=message)
    except KafkaException as error:
        # Another has the partition now, reads the proposal again, and gives the same answer.
        LOG.warning("a proposal may be read again: %s", error)


def _appended(
    producer: Producer, topic: str, key: str, value: bytes | None
) -> KafkaError | None:
    """Appends a record and waits until it is there; why it is not, if it is not."""
    told: list[KafkaError | None] = []
    producer.produce(topic, key=key, value=value, on_delivery=lambda error, _: told.append(error))
    while not told:
        producer.poll(0.5)
    return told[0]


def _millis(deadline: Any) -> int | None:
    """A deadline in milliseconds since the epoch, as which it lies."""
    return None if deadline is None else round(deadline.timestamp() * 1000)
