"""The services that by_claude.py and by_gpt.py ask, as far as these see them: on this machine, in
the vendors' wire formats, and answering as they are told."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Callable

GOOD = {"verdict": "ENDORSE", "probability": 0.93, "reasoning": "it is little"}


class Vendor:
    """`asked` has the requests, as (path, headers, body); `answer` is asked for each, with its
    number from 0 on, and gives status, headers, body and seconds to wait before it comes."""

    def __init__(self, answer: Callable[[int], tuple[int, dict[str, str], Any, float]]) -> None:
        self.asked: list[tuple[str, dict[str, str], Any]] = []
        self.answer = answer
        vendor = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                vendor.asked.append((self.path, dict(self.headers), body))
                status, headers, told, after = vendor.answer(len(vendor.asked) - 1)
                time.sleep(after)
                text = told if isinstance(told, bytes) else json.dumps(told).encode()
                self.send_response(status)
                for name, value in {"Content-Type": "application/json", **headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: Any) -> None:
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))
        self.thread.start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


class Anthropic:
    """How Anthropic's Messages answer."""

    path = "/v1/messages"

    @staticmethod
    def told(stop_reason: str, *content: Any) -> dict[str, Any]:
        return {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "claude",
            "content": list(content),
            "stop_reason": stop_reason,
            "stop_sequence": None,
            "usage": {"input_tokens": 1, "output_tokens": 1},
        }

    @staticmethod
    def call(given: Any, name: str = "give_opinion") -> dict[str, Any]:
        return {"type": "tool_use", "id": "toolu_1", "name": name, "input": given}

    @classmethod
    def opinion(cls, given: Any) -> Any:
        thought = {"type": "thinking", "thinking": "...", "signature": "s"}
        text = {"type": "text", "text": "Let me see."}
        return cls.told("tool_use", thought, text, cls.call(given))

    @classmethod
    def odd(cls) -> dict[str, Any]:
        """What is no opinion, by what is said of it."""
        text = {"type": "text", "text": "I would endorse this."}
        return {
            "refused": cls.told("refusal"),
            "cut off": cls.told("max_tokens", cls.call({"verdict": "ENDORSE"})),
            "as it was asked to": cls.told("end_turn", text),
            "as it was asked to ": cls.told("tool_use", cls.call(GOOD, "approve_payment")),
            "as it was asked to  ": cls.told("tool_use", cls.call(GOOD), cls.call(GOOD)),
            "as it was asked to   ": cls.told("end_turn"),
            "fields": cls.told("tool_use", cls.call("ENDORSE")),
            "not sound": b"<html>",
            "not sound ": {"type": "message"},
        }

    @staticmethod
    def error(status: int) -> Any:
        return {"type": "error", "error": {"type": "api_error", "message": str(status)}}

    @staticmethod
    def parts(body: Any) -> tuple[str, str, Any]:
        """Of a request: the rules, the user's message, and everything else."""
        (message,) = body.pop("messages")
        assert message.pop("role") == "user"
        return body.pop("system"), message["content"], body


class OpenAi:
    """How OpenAI's Responses answer."""

    path = "/v1/responses"

    @staticmethod
    def told(status: str, *output: Any, **fields: Any) -> dict[str, Any]:
        return {
            "id": "resp_1",
            "object": "response",
            "created_at": 1,
            "model": "gpt",
            "status": status,
            "error": None,
            "incomplete_details": None,
            "instructions": None,
            "metadata": {},
            "output": list(output),
            "parallel_tool_calls": True,
            "temperature": 1.0,
            "tool_choice": "auto",
            "tools": [],
            "top_p": 1.0,
            **fields,
        }

    @staticmethod
    def message(*content: Any) -> dict[str, Any]:
        return {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "content": list(content),
        }

    @staticmethod
    def text(text: str) -> dict[str, Any]:
        return {"type": "output_text", "text": text, "annotations": []}

    @classmethod
    def opinion(cls, given: Any) -> Any:
        thought = {"type": "reasoning", "id": "rs_1", "summary": []}
        return cls.told("completed", thought, cls.message(cls.text(json.dumps(given))))

    @classmethod
    def odd(cls) -> dict[str, Any]:
        """What is no opinion, by what is said of it."""
        call = {"type": "function_call", "id": "fc_1", "call_id": "c", "name": "approve_payment"}
        call |= {"arguments": json.dumps(GOOD), "status": "completed"}
        good = cls.message(cls.text(json.dumps(GOOD)))
        half = cls.message(cls.text('{"verdict": "ENDO'))
        return {
            "refused": cls.told("completed", cls.message({"type": "refusal", "refusal": "no"})),
            "refused ": cls.told(
                "incomplete", good, incomplete_details={"reason": "content_filter"}
            ),
            "cut off": cls.told(
                "incomplete", half, incomplete_details={"reason": "max_output_tokens"}
            ),
            "as it was asked to": cls.told("completed", call),
            "as it was asked to ": cls.told("completed", good, good),
            "as it was asked to  ": cls.told("completed"),
            "as it was asked to   ": cls.told("failed", error={"code": "x", "message": "y"}),
            "not JSON": cls.told("completed", half),
            "not JSON ": cls.told("completed", cls.message(cls.text("I would endorse this."))),
            "fields": cls.told("completed", cls.message(cls.text('"ENDORSE"'))),
            "not sound": b"<html>",
            "not sound ": {"object": "response"},
        }

    @staticmethod
    def error(status: int) -> Any:
        return {"error": {"type": "server_error", "message": str(status), "code": None}}

    @staticmethod
    def parts(body: Any) -> tuple[str, str, Any]:
        """Of a request: the rules, the user's message, and everything else."""
        (message,) = body.pop("input")
        assert message.pop("role") == "user"
        return body.pop("instructions"), message["content"], body
