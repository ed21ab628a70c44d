"""A gateway that is told how to behave: what an agent meets when things go wrong, on demand."""

from __future__ import annotations

import json
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Callable
from urllib.parse import parse_qs, urlsplit


def proposal(proposal_id: str, domain: str = "fraud.detection", **fields: Any) -> dict[str, Any]:
    return {
        "proposal_id": proposal_id,
        "proposer": "desk",
        "domain": domain,
        "action": {
            "type": "payment.block",
            "subject": "payment-1",
            "parameters": [{"key": "amount", "value": "120"}],
        },
        "summary": "",
        "rationale": "",
        "confidence": 0.9,
        "stakes": "LOW",
        "deadline": None,
        "supersedes": None,
        "labels": [],
        **fields,
    }


class Gateway:
    """Rounds that are open until they are closed here; whatever is posted is in `said`, copies
    included. `trouble` is asked first, with the method and the path: what it gives is done instead.
    """

    def __init__(self, port: int = 0, log: Gateway | None = None) -> None:
        self.lock = threading.Lock()
        self.rounds: dict[str, dict[str, Any]] = {}
        self.closed: dict[str, str] = {}
        self.said: list[dict[str, Any]] = []
        self.admitted: dict[str, list[dict[str, Any]]] = {}
        self.asked: list[tuple[float, str, str]] = []
        self.headers: list[dict[str, str]] = []
        self.trouble: Callable[[str, str], Any] = lambda method, path: None
        # Whether rounds are told as they open.
        self.streams = False
        if log is not None:
            # Before anybody can ask: a round it does not know yet would be one that has closed.
            self.rounds, self.closed, self.said = log.rounds, log.closed, log.said
            self.admitted, self.streams = log.admitted, log.streams
        self.stopped = threading.Event()
        gateway = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                gateway.serve(self, None)

            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                gateway.serve(self, json.loads(self.rfile.read(length)))

            def log_message(self, *_: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            allow_reuse_address = True
            request_queue_size = 64

            def handle_error(self, *_: Any) -> None:
                pass

        self.server = Server(("127.0.0.1", port), Handler)
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))
        self.thread.start()

    def stop(self) -> None:
        self.stopped.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def again(self) -> "Gateway":
        """The same log behind a gateway that was started again at the same place."""
        return Gateway(self.port, self)

    def open(self, proposal_id: str, seconds: float = 60.0, **fields: Any) -> str:
        with self.lock:
            self.rounds[proposal_id] = {
                "proposal_id": proposal_id,
                "deadline": int((time.time() + seconds) * 1000),
                "proposal_digest": "ab" * 32,
                "proposal": proposal(proposal_id, **fields),
            }
        return proposal_id

    def close(self, proposal_id: str) -> None:
        with self.lock:
            self.rounds.pop(proposal_id)
            self.closed[proposal_id] = "CLOSED"

    def serve(self, request: BaseHTTPRequestHandler, body: Any) -> None:
        parts = urlsplit(request.path)
        self.asked.append((time.monotonic(), request.command, request.path))
        self.headers.append(dict(request.headers))
        trouble = self.trouble(request.command, parts.path)
        if trouble == "cut":
            request.close_connection = True
            request.connection.shutdown(socket.SHUT_RDWR)
            return
        if trouble == "late":
            # It is on the log, and the answer does not get through.
            self.say(body)
            request.close_connection = True
            request.connection.shutdown(socket.SHUT_RDWR)
            return
        if trouble is not None:
            status, headers, told = trouble
        elif request.command == "POST":
            status, headers, told = self.say(body)
        elif parts.path == "/v1/inbox" and "event-stream" in request.headers["Accept"]:
            self.stream(request)
            return
        elif parts.path == "/v1/inbox":
            status, headers, told = self.inbox(parse_qs(parts.query))
        else:
            status, headers, told = self.outcomes(parts.path.split("/")[3])
        text = told if isinstance(told, bytes) else json.dumps(told).encode()
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name, value)
        request.send_header("Content-Length", str(len(text)))
        request.end_headers()
        request.wfile.write(text)

    def inbox(self, query: dict[str, list[str]]) -> tuple[int, dict[str, str], Any]:
        until = time.monotonic() + float(query.get("wait", ["0"])[0])
        while True:
            with self.lock:
                open_rounds = [one for id, one in self.rounds.items() if id not in self.admitted]
            if open_rounds or time.monotonic() >= until:
                at = int(query.get("after", ["0"])[0])
                more = str(at + 100) if len(open_rounds) > at + 100 else None
                rounds = open_rounds[at : at + 100]
                page = {"agent_id": "ada", "rounds": rounds, "next": more}
                return 200, {}, page | ({"position": " ".join(self.rounds)} if self.streams else {})
            time.sleep(0.01)

    def stream(self, request: BaseHTTPRequestHandler) -> None:
        """Tells of rounds as they open, each once; ends with the gateway."""
        request.close_connection = True
        request.send_response(200)
        request.send_header("Content-Type", "text/event-stream")
        request.end_headers()
        told = set(request.headers["Last-Event-ID"].split())
        silent = 0
        while not self.stopped.wait(0.01):
            with self.lock:
                new = [one for id, one in self.rounds.items() if id not in told]
            silent = 0 if new else silent + 1
            for one in new:
                told.add(one["proposal_id"])
                event = f"event: waiting\nid: x\ndata: {json.dumps(one)}\n\n"
                event += 'event: left\ndata: {"proposal_id": "x"}\n\n'
                request.wfile.write(event.encode())
            if silent == 10:
                silent = 0
                request.wfile.write(b":\n\n")

    def say(self, body: Any) -> tuple[int, dict[str, str], Any]:
        with self.lock:
            self.said.append(body)
            round = body["proposal_id"]
            if round not in self.rounds:
                return problem(422, "round_closed", id=body["response_id"])
            heard = self.admitted.setdefault(round, [])
            if body not in heard:
                heard.append(body)
        told = {"id": body["response_id"], "topic": "responses", "partition": 0, "offset": 1}
        return 200, {}, {**told, "state": "admitted"}

    def outcomes(self, round: str) -> tuple[int, dict[str, str], Any]:
        with self.lock:
            if round not in self.closed and round not in self.rounds:
                return problem(404, "unknown_round")
            told = [outcome(round, self.admitted)] if round in self.closed else []
        return 200, {}, {"outcomes": told}


def outcome(round: str, admitted: dict[str, Any], status: str = "APPROVED") -> dict[str, Any]:
    ballot = {"agent_id": "ada", "verdict": "ENDORSE", "confidence": 0.8, "authority": 1.0}
    ballot |= {"trust": 0.5, "weight": 0.4, "counted": True, "reason": None}
    ballots = [ballot] if round in admitted else []
    decision = {"status": status, "reasons": [], "ballots": ballots}
    final = status != "ESCALATED"
    return {"proposal_id": round, "resolution": 1, "final": final, "decision": decision}


def problem(status: int, code: str, **fields: Any) -> tuple[int, dict[str, str], Any]:
    told = {"type": f"urn:quorate:problem:{code}", "title": "no", "status": status}
    told |= {"detail": f"because of {code}", "code": code, **fields}
    return status, {"Content-Type": "application/problem+json"}, told


class Seldom:
    """Trouble for the first requests of a kind, and none afterwards."""

    def __init__(self, path: str, *troubles: Any) -> None:
        self.path, self.troubles = path, list(troubles)

    def __call__(self, _method: str, path: str) -> Any:
        if path == self.path and self.troubles:
            return self.troubles.pop(0)
        return None
