"""What the log says, in words for people: lines of at most a hundred columns, coloured for a
terminal only. Every number is one of the record's own.
"""

import sys
import textwrap

WIDTH = 100
# One block of a bar, as a weight.
BLOCK = 0.05
COLOURS = {"APPROVED": "1;32", "REJECTED": "1;31", "ESCALATED": "1;33", "heading": "1", "aside": "2",
           "up": "32", "down": "31"}
VERDICTS = {"ENDORSE": "endorses", "CHALLENGE": "challenges", "ABSTAIN": "abstains"}
DECIDES = {"APPROVE": "approves", "REJECT": "rejects", "SEND_BACK": "sends back"}
# Why a ballot weighs nothing.
KEPT_OUT = {"observer": "no vote here", "suspended": "suspended: weighs nothing",
            "zero_weight": "weighs nothing"}
WHY = {
    "SUSPENDED": "a suspended agent would have tipped it",
    "HIGH_STAKES": "the stakes are high, whatever the agents say",
    "REQUIRED_MISSING": "somebody who must be heard was not",
    "QUORUM_NOT_MET": "too few spoke",
    "UNPROVEN": "those who spoke have too little record",
    "LOW_CONFIDENCE": "they are not sure enough",
    "VETO": "somebody who may bar it does",
    "MARGIN_MET": "one side is clearly ahead",
    "TIE": "both sides weigh the same",
    "MARGIN_NOT_MET": "neither side is far enough ahead",
}


def console(address: str, folder: str) -> list[str]:
    """What to look at where people decide."""
    return [
        "", coloured("heading", "Where people decide"),
        f"  Two days have passed here: {address}",
        f"  Sign in as `you`; the log is in {folder}.", "",
        *wrapped("Needs you: a dozen escalations wait, some for a second time.", 4),
        *wrapped("Agents: `wire-watcher` endorsed everything until it was suspended, and "
                 "`fraud-expert` has earned what it weighs.", 4),
        *wrapped("Policies: what agents alone would have done with refunds.", 4),
        *wrapped("Outcomes, Refused and Audit: what came of it all, and who did what.", 4)]


def scene(scene: dict) -> list[str]:
    proposal = scene["proposal"]
    action = proposal["action"]
    given = ", ".join(f"{p['key']} {p['value']}" for p in action["parameters"])
    of = f"{proposal['proposer']} proposes {action['type']} of {action['subject']} ({given})"
    return ["", coloured("heading", f"  {scene['title']}"), *wrapped(f"{of}: {proposal['summary']}", 2),
            coloured("aside", f"  round {scene['id']}"), ""]


def outcome(scene: dict, outcome: dict) -> list[str]:
    decision = outcome["decision"]
    lines = [coloured("aside", f"    {'agent':20}{'says':12}authority × confidence × trust = weight")]
    for ballot in decision["ballots"]:
        lines.append(vote(ballot))
        opinion = scene["said"].get(ballot["agent_id"])
        if opinion:
            lines += [coloured("aside", line) for line in wrapped(f"“{opinion[2]}”", 6)]
    why, codes = WHY[decision["reasons"][0]], ", ".join(decision["reasons"])
    lines += ["", f"    for {decision['E']:.3f}, against {decision['C']:.3f}; margin "
              f"{decision['margin_reached']:.3f}, needed {decision['margin_needed']:.3f}",
              f"    {coloured(decision['status'])}: {why} ({codes})"]
    return lines + wrapped(scene.get("remark", ""), 4)


def vote(ballot: dict) -> str:
    said = f"    {plain(ballot['agent_id']):20}{VERDICTS[ballot['verdict']]:12}"
    if ballot["reason"]:
        return f"{said}{KEPT_OUT[ballot['reason']]}"
    bar = "█" * int(ballot["weight"] / BLOCK + 0.5) or "▏"
    return (f"{said}{ballot['authority']:9.2f} × {ballot['confidence']:10.2f} × "
            f"{ballot['trust']:5.3f} = {ballot['weight']:6.3f}  {bar}")


def package(package: dict) -> list[str]:
    content = package["content"]
    hours = (package["due"] - package["coordinates"]["closing_time"]) / 3.6e6
    said = {one["agent_id"]: one["reasoning"] for one in content["statements"]}
    lines = ["", f"    Decision package {package['package_digest'][:12]}…, due in {hours:g} h, "
             f"{package['approvals_needed']} approval needed"]
    for side, words in [("strongest_for", "strongest for"), ("strongest_against", "strongest against")]:
        ballot = content.get(side)
        if ballot:
            agent = ballot["agent_id"]
            # A proposer that said no more has made its case by proposing.
            lines += wrapped(f"{words:19}{agent}: “{said[agent]}”" if said.get(agent) else
                             f"{words:19}{agent}, by its proposal", 6)
    for one in content["decision"]["influence"]:
        if one["status"] != content["decision"]["status"]:
            lines += wrapped(f"{'pivotal':19}{one['agent_id']}: without it {one['status']}", 6)
    if content["silent"]:
        lines += wrapped(f"{'silent':19}{', '.join(content['silent'])}", 6)
    return lines


def decided(decision: dict, outcome: dict) -> list[str]:
    said = f"{decision['reviewer']} {DECIDES[decision['verdict']]}: “{decision['rationale']}”"
    return [*wrapped(said, 4), f"    {coloured(outcome['decision']['status'])} by a person"]


def result(result: dict) -> list[str]:
    said = f"{result['reporter']} reports on {result['of']}: {result['result']}, “{result['note']}”"
    return ["", *wrapped(said, 2)]


def moved(agent: str, before: float, after: float) -> str:
    way, sign = ("up", "▲") if after > before else ("down", "▼")
    return f"    trust of {plain(agent):20} {before:.3f} → {after:.3f} {coloured(way, sign)}"


def wrapped(text: str, indent: int) -> list[str]:
    """Three lines at most of what somebody wrote."""
    return textwrap.wrap(plain(text), WIDTH, initial_indent=" " * indent, max_lines=3,
                         subsequent_indent=" " * indent, placeholder=" …")


def plain(text: str) -> str:
    """What agents wrote, as text that cannot move a cursor."""
    return "".join(letter if letter.isprintable() else "�" for letter in text)


def coloured(name: str, text: str | None = None) -> str:
    text = name if text is None else text
    return f"\033[{COLOURS[name]}m{text}\033[0m" if sys.stdout.isatty() else text
