"""Policies: defaults, soundness, which one governs, and the stakes that count (chapter 5).

A policy here is a dict of the record's names, numbers in millionths, spans in milliseconds.
"""

import re
from decimal import Decimal, getcontext
from functools import lru_cache

from .numbers import ONE, BadNumber, admit, closeness, decimal, is_domain, less, matches, publish, read

STAKES = ["LOW", "MEDIUM", "HIGH", "CRITICAL"]
UNITS = {"ms": 1, "s": 1000, "min": 60_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
DEFAULTS = {
    "quorum_margin": None,
    "target_error": None,
    "min_responders": 1,
    "escalate_at_stakes": "HIGH",
    "stakes_floor": [],
    "proposer_counts": True,
    "required_domains": [],
    "veto_domains": [],
    "max_share_per_principal": 1.0,
    "max_share_per_model_family": 1.0,
    "deadline_default": 60_000,
    "deadline_min": 1_000,
    "deadline_max": 7 * 86_400_000,
    "revision": "last",
    "early_close": False,
    "decision_deadline": 72 * 3_600_000,
    "on_decision_timeout": "ESCALATE_AGAIN",
    "reporters": None,
    "self_report": False,
    "result_window": 30 * 86_400_000,
    "max_open_per_proposer": 100,
    "action_types": None,
    "mode": "live",
    "half_life": 100,
}
SPANS = ["deadline_default", "deadline_min", "deadline_max", "decision_deadline", "result_window"]
MILLIONTHS = [
    "quorum_margin",
    "target_error",
    "min_weight",
    "min_confidence",
    "max_share_per_principal",
    "max_share_per_model_family",
]


def fill(entry):
    """The record of a policy file's entry, all defaults filled in, but for its digest."""
    record = dict(DEFAULTS)
    if entry.get("target_error") is None:
        record.update(quorum_margin=0.34, min_weight=0.3, min_confidence=0.3)
    else:
        record.update(min_weight=0.0, min_confidence=0.0)
    record["trust_domain"] = entry["pattern"]
    record.update(entry)
    for key in SPANS:
        record[key] = span(record[key])
    if record["half_life"] == "none":
        record["half_life"] = None
    approvals = {"LOW": 1, "MEDIUM": 1, "HIGH": 1, "CRITICAL": 2}
    approvals.update(entry.get("approvals_needed") or {})
    record["approvals_needed"] = approvals
    record["stakes_floor"] = [{"action_type": None, **rule} for rule in record["stakes_floor"]]
    for key in MILLIONTHS:
        record[key] = record[key] if record[key] is None else publish(read(record[key]))
    record["evidence_unit"] = unit_of(record["target_error"]) / 1e6
    record["digest"] = bytes(32)
    return record


def span(value):
    """Milliseconds, or text such as `60 s`."""
    if isinstance(value, str):
        number, unit = re.fullmatch(r"([0-9]+) ?([a-z]+)", value).groups()
        return int(number) * UNITS[unit]
    return value


def unit_of(target_error):
    """k in millionths for a wanted error as a double; 0 without one, or for one out of range."""
    if target_error is None:
        return 0
    try:
        return evidence_unit(admit(target_error))
    except (BadNumber, ArithmeticError):
        return 0


@lru_cache(maxsize=None)
def evidence_unit(e):
    """The least integer not below 10^6 ln((10^6 - e)/e) / ln 99."""
    if e == 10_000:
        return ONE  # exactly, whatever the last digit of a logarithm is
    getcontext().prec = 60
    odds = Decimal(ONE - e) / Decimal(e)
    exact = ONE * odds.ln() / Decimal(99).ln()
    return max(0, int(exact.to_integral_value(rounding="ROUND_CEILING")))


def sound(record):
    """The policy a record of the table stands for, in integers; None if it is unsound."""
    try:
        policy = dict(record)
        for key in MILLIONTHS:
            policy[key] = None if record[key] is None else admit(record[key])
    except BadNumber:
        return None
    return policy if all(checks(policy)) else None


def checks(policy):
    """What a sound policy keeps."""
    margin, error = policy["quorum_margin"], policy["target_error"]
    names = policy["required_domains"] + policy["veto_domains"]
    others = (policy["reporters"] or []) + (policy["action_types"] or [])
    yield policy["pattern"] == "*" or is_domain(policy["pattern"])
    yield policy["trust_domain"] not in ("", "*") and ":" not in policy["trust_domain"]
    yield all(map(is_domain, names)) and len(policy["required_domains"]) <= 64
    yield "" not in others
    yield (margin is None) != (error is None)
    yield margin is None or margin > 0
    yield error is None or 0 < error <= ONE // 2
    yield round(policy["evidence_unit"] * 1e6) == (0 if error is None else evidence_unit(error))
    yield policy["min_responders"] >= 0 and policy["max_open_per_proposer"] >= 0
    yield all(policy[k] >= ONE // 2 for k in MILLIONTHS if k.startswith("max_share"))
    yield 0 < policy["deadline_min"] <= policy["deadline_default"] <= policy["deadline_max"]
    yield policy["decision_deadline"] > 0 and policy["result_window"] > 0
    yield not policy["early_close"] or policy["revision"] == "first"
    yield all(n >= 1 for n in policy["approvals_needed"].values())
    yield policy["half_life"] is None or policy["half_life"] >= 1
    for rule in policy["stakes_floor"]:
        yield decimal(rule["at_least"]) is not None and rule["parameter"] != ""
        yield rule["action_type"] != ""


def governing(policies, domain):
    """The closest of the policies in force ({pattern: policy}) that covers a domain."""
    close = [p for p in policies.values() if matches(p["pattern"], domain)]
    return max(close, key=lambda p: closeness(p["pattern"]), default=None)


def stakes_of(policy, proposal):
    """The stakes that count: the declared, or higher ones that a floor rule asks for."""
    action, stakes = proposal["action"], [proposal["stakes"]]
    for rule in policy["stakes_floor"]:
        if rule["action_type"] in (None, action["type"]):
            stakes.append(floor(rule, action["parameters"]))
    return max(stakes, key=STAKES.index)


def floor(rule, parameters):
    values = [decimal(p["value"]) for p in parameters if p["key"] == rule["parameter"]]
    if not values or None in values:
        return "CRITICAL"
    reached = any(not less(value, decimal(rule["at_least"])) for value in values)
    return rule["stakes"] if reached else "LOW"


def at_least(stakes, bound):
    return STAKES.index(stakes) >= STAKES.index(bound)
