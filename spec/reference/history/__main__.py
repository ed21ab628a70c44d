"""Recomputes a history: `python3 -m reference.history BOOTSTRAP PREFIX [QUIET [REMEMBERED]]`, or
of a blackboard `python3 -m reference.history --blackboard FILE [QUIET [REMEMBERED]]`, or of an
exported file `python3 -m reference.history --export FILE [0 [REMEMBERED]]`, which needs nothing but
that file and this folder.

Waits first until nothing has been appended for QUIET seconds (default 0: it does not wait), and
begins again if something was while it read. Says what was verified, counted, and what is broken;
exits 1 if anything is. REMEMBERED is for how many milliseconds a closed round is kept at least,
where a test has a processor keep it for less than the two days it must.

Every record must still be there that was there when the processor read it: responses that are gone
are taken to have been gone by then.
"""

import multiprocessing
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor

from ..afterwards import Afterwards
from .audit import TrustAudit, audited
from .source import opened
from .stored import until_quiet

# How long records may keep coming, in seconds.
PATIENCE = 600
SHOWN = 8


def main(bootstrap, prefix, quiet="0", remembered=Afterwards.remembered):
    """Audits every partition, then trust; the exit code."""
    place = (bootstrap, prefix)
    topics, quiet = opened(*place), float(quiet)
    until = time.monotonic() + PATIENCE
    while True:
        ends = until_quiet(topics.ends, quiet, until) if quiet else None
        findings = audit(topics, place, int(remembered))
        # What goes on is not one history: its inputs were read before its outputs.
        if not quiet or topics.ends() == ends:
            return tell(findings)
        print("records came while it was read: once more", file=sys.stderr)


def audit(topics, place, remembered):
    """The findings of every partition, and of trust."""
    partitions = topics.partitions()
    jobs = [(place, p, partitions, remembered) for p in range(partitions)]
    # A Kafka client does not survive a fork.
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(mp_context=fresh) as pool:
        findings = list(pool.map(audited, jobs))
    updates = [update for found in findings for update in found.updates]
    trust = TrustAudit(topics, partitions).run(updates)
    forwards = sum((found.forwards for found in findings), Counter())
    forwarded = sum((found.forwarded for found in findings), Counter())
    # Whoever forwarded one and died before saying so has forwarded it again, which is harmless.
    trust.same("forwards", forwards, Counter(set(forwarded)))
    return [*findings, trust]


def tell(findings):
    broken = [line for found in findings for line in found.broken]
    kinds = Counter()
    for line in broken:
        kind = line.split(":")[0]
        kinds[kind] += 1
        if kinds[kind] <= SHOWN:
            print(f"broken: {line[:600]}")
    if broken:
        print(f"broken by kind: {dict(sorted(kinds.items()))}")
    for name, what in (("dead letters by code", "codes"), ("first reasons", "reasons")):
        counted = sum((getattr(found, what) for found in findings), Counter())
        print(f"{name}: {dict(sorted(counted.items()))}")
    verified = sum((found.verified for found in findings), Counter())
    print(f"verified: {dict(sorted(verified.items()))}")
    print(f"{len(broken)} broken")
    return 1 if broken or not verified["decision parts"] else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
