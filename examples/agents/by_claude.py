#!/usr/bin/env python3
"""An agent that asks Claude, by the official SDK; over the Python client.

usage: by_claude.py ADDRESS TOKEN DOMAIN BRIEF

BRIEF is a file that says, in your own words, what the agent knows and cares for. ANTHROPIC_API_KEY
is the key; CLAUDE_MODEL may name another model, LONGEST the seconds an opinion may take.
"""

import logging
import os
import sys
from pathlib import Path

import anthropic
import quorate

from question import LONGEST, NAME, SCHEMA, Again, NoOpinion, judge, opinion, refused, rules

MODEL = os.environ.get("CLAUDE_MODEL", "claude-sonnet-5-5")
# Thinking counts, too, where a model thinks.
TOKENS = 8192
TOOL: anthropic.types.ToolParam = {
    "name": NAME,
    "description": "Gives your opinion of the proposal. Call it once; nothing else is read.",
    "input_schema": SCHEMA,
    "strict": True,
}


class Claude:
    def __init__(self, brief: str) -> None:
        # Whether there is time to ask again is seen to where the deadline is known.
        self.client, self.rules = anthropic.Anthropic(max_retries=0), rules(brief)

    def ask(self, proposal: str, seconds: float) -> quorate.Answer:
        try:
            message = self.client.messages.create(
                model=MODEL,
                max_tokens=TOKENS,
                system=self.rules,
                messages=[{"role": "user", "content": proposal}],
                tools=[TOOL],
                # A tool cannot be forced on a model that thinks; without a call there is no opinion.
                tool_choice={"type": "auto", "disable_parallel_tool_use": True},
                timeout=seconds,
            )
        except anthropic.APITimeoutError as error:
            raise NoOpinion("the model did not answer in time") from error
        except anthropic.APIConnectionError as error:
            raise Again("the model cannot be reached") from error
        except anthropic.APIStatusError as error:
            raise refused(error.status_code, error.response.headers.get("retry-after")) from error
        except (anthropic.AnthropicError, ValueError) as error:
            raise NoOpinion("what the model's service answers is not sound") from error
        return opinion(called(message))


def called(message: object) -> object:
    """What the tool was called with."""
    if not isinstance(message, anthropic.types.Message) or not isinstance(message.content, list):
        raise NoOpinion("what the model's service answers is not sound")
    if message.stop_reason == "refusal":
        raise NoOpinion("the model refused")
    if message.stop_reason in ("max_tokens", "model_context_window_exceeded"):
        raise NoOpinion("the model's answer was cut off")
    calls = [block for block in message.content if block.type == "tool_use"]
    if len(calls) != 1 or calls[0].name != NAME:
        raise NoOpinion("the model did not give its opinion as it was asked to")
    return calls[0].input


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("httpx2").setLevel(logging.WARNING)
    address, token, domain, brief = sys.argv[1:]
    claude = Claude(Path(brief).read_text(encoding="utf-8"))
    longest = float(os.environ.get("LONGEST", LONGEST))
    agent = quorate.Agent(address, token)
    agent.on_proposal(domain)(lambda round: judge(round, claude.ask, longest))
    agent.run()


if __name__ == "__main__":
    main()
