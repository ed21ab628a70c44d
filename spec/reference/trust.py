"""Trust: the rule, its corrections and its starts (chapter 8).

A state is (a, b, ln_m, a0, b0) in billionths; floats live only inside one step.
"""

import math
from dataclasses import dataclass

from .numbers import NANO, ONE, weight

L = math.log(99.0)
LN_M_MAX = math.log(20.0)


@dataclass
class State:
    """One agent's track record in one trust domain."""

    a: int
    b: int
    ln_m: int
    a0: int
    b0: int
    revision: int = 0

    def trust(self):
        """What its votes are multiplied by, in millionths."""
        return trust_of(self.a, self.b, self.ln_m)


def trust_of(a, b, ln_m):
    skill = clip(math.log(a / b) / L, 0.01, 1.0)
    return round(clip(math.exp(ln_m / NANO) * skill, 0.01, 1.0) * ONE)


NEWCOMER = (2 * NANO, NANO, 0)


def newcomer_trust():
    return trust_of(*NEWCOMER)


def clip(x, low, high):
    return min(high, max(low, x))


def nano(x):
    """Billionths, half to even."""
    return round(x * NANO)


def probability(endorse, challenge, n):
    """The collective's probability that the proposal is good; E and C in millionths."""
    z = L * ((endorse - challenge) / ONE) / math.sqrt(n) if n else 0.0
    return 1.0 / (1.0 + math.exp(-z))


def learn(state, vote, confidence, y, p, half_life):
    """One first result for one ballot; vote is +1 or -1."""
    a, b, m = state.a / NANO, state.b / NANO, state.ln_m / NANO
    a0, b0 = state.a0 / NANO, state.b0 / NANO
    if half_life is not None:
        g = math.exp(-math.log(2.0) / half_life)
        a, b, m = a0 + g * (a - a0), b0 + g * (b - b0), g * m
    eta = max(0.1, 0.5 / math.sqrt(1.0 + (a + b - a0 - b0) / 30.0))
    m = clip(m + eta * (confidence / ONE) * vote * (y - p), -LN_M_MAX, LN_M_MAX)
    if (vote > 0) == (y == 1):
        a += min(1.0, 2.0 * abs(y - p))
    else:
        b += 1.0
    state.a, state.b, state.ln_m = nano(a), nano(b), nano(m)
    state.revision += 1


def correct(state, vote, old, new, p):
    """One corrected result for one ballot; old is 0 or 1, new is 0, 1 or None for UNKNOWN."""
    a, b = state.a / NANO, state.b / NANO
    a0, b0 = state.a0 / NANO, state.b0 / NANO
    if (vote > 0) == (old == 1):
        a = max(a0, a - min(1.0, 2.0 * abs(old - p)))
        b += 0.0 if new is None else 1.0
    else:
        b = max(b0, b - 1.0)
        a += 0.0 if new is None else min(1.0, 2.0 * abs(new - p))
    state.a, state.b = nano(a), nano(b)
    state.revision += 1


VALUE = {"RIGHT": 1, "WRONG": 0, "UNKNOWN": None}


def fold(states, update):
    """Folds one trust update into `states` ({agent: State}); returns [(agent, State)] updated.

    Confidence and authority of its lessons are millionths; a0, b0 and start billionths.
    """
    counted = []
    for lesson in update["ballots"]:
        state = states.get(lesson["agent_id"]) or beginning(lesson)
        vote = 1 if lesson["verdict"] == "ENDORSE" else -1
        w = weight(lesson["authority"], lesson["confidence"], state.trust())
        if w:
            counted.append((lesson, state, vote, w))
    endorse = sum(w for _, _, vote, w in counted if vote > 0)
    challenge = sum(w for _, _, vote, w in counted if vote < 0)
    p = probability(endorse, challenge, len(counted))
    y, corrects = VALUE[update["result"]], update["corrects"]
    for lesson, state, vote, _ in counted:
        if corrects is None:
            learn(state, vote, lesson["confidence"], y, p, update["half_life"])
        else:
            correct(state, vote, VALUE[corrects["result"]], y, p)
        states[lesson["agent_id"]] = state
    return [(lesson["agent_id"], state) for lesson, state, _, _ in counted]


def beginning(lesson):
    """Where an agent without a score starts."""
    a0, b0, start = lesson["a0"], lesson["b0"], lesson["start"]
    if start is None:
        return State(a0, b0, 0, a0, b0)
    return State(start["a"], start["b"], start["ln_m"], a0, b0)
