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


def scene(scene: dict) -> list[str]:
    proposal = scene["proposal"]
    action = proposal["action"]
    given = ", ".join(f"{p['key']} {p['value']}" for p in action["parameters"])
    of = f"{proposal['proposer']} proposes {action['type']} of {action['subject']} ({given})"
    return ["", coloured("heading", f"  {scene['title']}"), plain(f"  {of}: {proposal['summary']}"),
            coloured("aside", f"  round {scene['id']}"), ""]


def outcome(scene: dict, outcome: dict) -> list[str]:
    decision = outcome["decision"]
    lines = [coloured("aside", f"    {'agent':20}{'says':12}authority × confidence × trust = weight")]
    for ballot in decision["ballots"]:
        lines.append(vote(ballot))
        opinion = scene["said"].get(ballot["agent_id"])
        if opinion:
            lines.append(coloured("aside", plain(f"      “{opinion[2]}”")))
    first, *others = decision["reasons"]
    codes = ", ".join([first, *others])
    lines += ["", f"    for {decision['E']:.3f}, against {decision['C']:.3f}; margin "
              f"{decision['margin_reached']:.3f}, needed {decision['margin_needed']:.3f}",
              f"    {coloured(decision['status'])}: {WHY[first]} ({codes})"]
    return lines + remark(scene)


def vote(ballot: dict) -> str:
    said = f"    {plain(ballot['agent_id']):20}{VERDICTS[ballot['verdict']]:12}"
    if ballot["reason"]:
        return f"{said}{KEPT_OUT[ballot['reason']]}"
    bar = "█" * int(ballot["weight"] / BLOCK + 0.5) or "▏"
    return (f"{said}{ballot['authority']:9.2f} × {ballot['confidence']:10.2f} × "
            f"{ballot['trust']:5.3f} = {ballot['weight']:6.3f}  {bar}")


def remark(scene: dict) -> list[str]:
    text = scene.get("remark", "")
    return textwrap.wrap(text, WIDTH, initial_indent="    ", subsequent_indent="    ")


def package(package: dict) -> list[str]:
    content, hours = package["content"], (package["due"] - package["coordinates"]["closing_time"]) / 3.6e6
    said = {one["agent_id"]: one["reasoning"] for one in content["statements"]}
    lines = ["", f"    Decision package {package['package_digest'][:12]}…, due in {hours:g} h, "
             f"{package['approvals_needed']} approval needed"]
    for side, words in [("strongest_for", "strongest for"), ("strongest_against", "strongest against")]:
        ballot = content.get(side)
        if ballot:
            agent = ballot["agent_id"]
            lines.append(plain(f"      {words:19}{agent}: “{said.get(agent) or 'its proposal'}”"))
    for one in content["decision"]["influence"]:
        if one["status"] != content["decision"]["status"]:
            lines.append(f"      {'pivotal':19}{plain(one['agent_id'])}: without it {one['status']}")
    if content["silent"]:
        lines.append(plain(f"      {'silent':19}{', '.join(content['silent'])}"))
    return lines


def decided(decision: dict, outcome: dict) -> list[str]:
    return [plain(f"    {decision['reviewer']} {DECIDES[decision['verdict']]}: “{decision['rationale']}”"),
            f"    {coloured(outcome['decision']['status'])} by a person"]


def result(result: dict) -> list[str]:
    return ["", plain(f"  {result['reporter']}: {result['of']} was {result['result']}, “{result['note']}”")]


def moved(agent: str, before: float, after: float) -> str:
    way, sign = ("up", "▲") if after > before else ("down", "▼")
    return f"    trust of {plain(agent):20} {before:.3f} → {after:.3f} {coloured(way, sign)}"


def plain(text: str) -> str:
    """What agents wrote, as text that cannot move a cursor, cut to the width of a line."""
    text = "".join(letter if letter.isprintable() else "�" for letter in text)
    return text if len(text) <= WIDTH else f"{text[:WIDTH - 1]}…"


def coloured(name: str, text: str | None = None) -> str:
    text = name if text is None else text
    return f"\033[{COLOURS[name]}m{text}\033[0m" if sys.stdout.isatty() else text
