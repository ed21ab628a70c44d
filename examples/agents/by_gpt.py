#!/usr/bin/env python3
"""An agent that asks a GPT model, by OpenAI's official SDK; over the Python client.

usage: by_gpt.py ADDRESS TOKEN DOMAIN BRIEF

BRIEF is a file that says, in your own words, what the agent knows and cares for. OPENAI_API_KEY is
the key; GPT_MODEL may name another model, LONGEST the seconds an opinion may take.
"""

import json
import logging
import os
import sys
from pathlib import Path

import openai
import quorate

from question import LONGEST, NAME, SCHEMA, Again, NoOpinion, judge, opinion, refused, rules

MODEL = os.environ.get("GPT_MODEL", "gpt-5.5")
# Reasoning counts, too.
TOKENS = 8192


class Gpt:
    def __init__(self, brief: str) -> None:
        # Whether there is time to ask again is seen to where the deadline is known.
        self.client, self.rules = openai.OpenAI(max_retries=0), rules(brief)

    def ask(self, proposal: str, seconds: float) -> quorate.Answer:
        try:
            response = self.client.responses.create(
                model=MODEL,
                max_output_tokens=TOKENS,
                instructions=self.rules,
                input=[{"role": "user", "content": proposal}],
                text={
                    "format": {
                        "type": "json_schema",
                        "name": NAME,
                        "schema": SCHEMA,
                        "strict": True,
                    }
                },
                store=False,
                timeout=seconds,
            )
        except openai.APITimeoutError as error:
            raise NoOpinion("the model did not answer in time") from error
        except openai.APIConnectionError as error:
            raise Again("the model cannot be reached") from error
        except openai.APIStatusError as error:
            raise refused(error.status_code, error.response.headers.get("retry-after")) from error
        except (openai.OpenAIError, ValueError) as error:
            raise NoOpinion("what the model's service answers is not sound") from error
        try:
            return opinion(json.loads(said(response)))
        except (ValueError, RecursionError) as error:
            raise NoOpinion("the model's answer is not JSON") from error


def said(response: object) -> str:
    """The text of the one message there should be."""
    if not isinstance(response, openai.types.responses.Response):
        raise NoOpinion("what the model's service answers is not sound")
    if not isinstance(response.output, list):
        raise NoOpinion("what the model's service answers is not sound")
    details = response.incomplete_details
    if details is not None and details.reason == "content_filter":
        raise NoOpinion("the model refused")
    if response.status == "incomplete":
        raise NoOpinion("the model's answer was cut off")
    messages = [item for item in response.output if item.type != "reasoning"]
    if response.status != "completed" or len(messages) != 1 or messages[0].type != "message":
        raise NoOpinion("the model did not give its opinion as it was asked to")
    parts = messages[0].content
    if any(part.type == "refusal" for part in parts):
        raise NoOpinion("the model refused")
    return "".join(part.text for part in parts)


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("httpx2").setLevel(logging.WARNING)
    address, token, domain, brief = sys.argv[1:]
    gpt = Gpt(Path(brief).read_text(encoding="utf-8"))
    longest = float(os.environ.get("LONGEST", LONGEST))
    agent = quorate.Agent(address, token)
    agent.on_proposal(domain)(lambda round: judge(round, gpt.ask, longest))
    agent.run()


if __name__ == "__main__":
    main()
