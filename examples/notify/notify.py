"""Mails escalations, or posts them to a chat: the other end of a webhook, by the standard library alone.

usage: notify.py [HOST:PORT]

It prints where it listens. What it needs is in the environment:

  WEBHOOK_SECRET_FILE   the file that `secret_file` of the webhook names, too
  SMTP                  HOST or HOST:PORT that takes mail, with MAIL_FROM and MAIL_TO; or
  CHAT_URL              an incoming webhook of a chat that takes {"text": ...}, as Slack's, Mattermost's

What came twice is sent once, as long as this runs: a webhook tells at least once. Where mail or chat
does not take it, neither does this, so that it is told again.
"""
import base64
import hashlib
import hmac
import json
import os
import smtplib
import ssl
import sys
import time
import urllib.request
from collections import OrderedDict
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock

LONGEST = 64 * 1024  # of a body, in bytes
APART = 300  # how far clocks may be apart, and how long it may be under way, in seconds
REMEMBERED = 10_000

secret = open(os.environ["WEBHOOK_SECRET_FILE"], encoding="ascii").read().strip()
key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
seen, sending = OrderedDict(), Lock()


def is_signed(headers, body):
    """Whether it is of somebody with the secret, and of now: Standard Webhooks, version 1."""
    try:
        told, second = headers["webhook-id"], int(headers["webhook-timestamp"])
        given = headers["webhook-signature"].split()
    except (TypeError, ValueError, AttributeError):
        return False
    if not told or abs(time.time() - second) > APART:
        return False
    signed = b".".join([told.encode(), str(second).encode(), body])
    ours = b"v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest())
    return any(hmac.compare_digest(ours, one.encode()) for one in given)


def plain(text):
    """An agent wrote it: one line, and nothing that cannot be seen."""
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in str(text))


def words(told):
    action = told["action"]
    due = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(told["due"] / 1000))
    title = plain(f"{told['stakes'].lower()}: {action['type']} {action['subject']}")
    lines = [title, f"domain {plain(told['domain'])}, due {due}", ", ".join(map(plain, told["reasons"]))]
    if told["tier"] > 1:
        lines.append(f"nobody has decided in time: tier {told['tier']}")
    return title, "\n".join([*lines, told["url"] or f"round {told['proposal_id']}"])


def mail(title, text):
    message = EmailMessage()
    message["Subject"] = f"To be decided: {title}"
    message["From"], message["To"] = os.environ["MAIL_FROM"], os.environ["MAIL_TO"]
    message.set_content(text)
    host, _, port = os.environ["SMTP"].partition(":")
    with smtplib.SMTP(host, int(port or 25), timeout=10) as server:
        server.ehlo()
        if server.has_extn("starttls"):
            server.starttls(context=ssl.create_default_context())
        server.send_message(message)


def chat(_title, text):
    # As these chats have it, so that nobody writes a link or calls everybody by an action's subject.
    for sign, name in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        text = text.replace(sign, name)
    body, kind = json.dumps({"text": text}).encode(), {"content-type": "application/json"}
    urllib.request.urlopen(urllib.request.Request(os.environ["CHAT_URL"], body, kind), timeout=10).close()


send = mail if "SMTP" in os.environ else chat


class Told(BaseHTTPRequestHandler):
    timeout = 10

    def do_POST(self):
        length = self.headers.get("content-length", "")
        if not length.isdecimal() or int(length) > LONGEST:
            return self.answer(413)
        body = self.rfile.read(int(length))
        if not is_signed(self.headers, body):
            return self.answer(401)
        told = self.headers["webhook-id"]
        # One after the other: two that are the same may come at once.
        with sending:
            if told not in seen:
                try:
                    send(*words(json.loads(body)))
                except (OSError, smtplib.SMTPException, ValueError, KeyError) as error:
                    print(f"{plain(told)} is not sent: {plain(error)}", file=sys.stderr, flush=True)
                    return self.answer(502)
                seen[told] = True
                while len(seen) > REMEMBERED:
                    seen.popitem(last=False)
        return self.answer(204)

    def answer(self, status):
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    host, _, port = (sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:0").rpartition(":")
    server = ThreadingHTTPServer((host, int(port)), Told)
    print("http://{}:{}".format(*server.server_address[:2]), flush=True)
    server.serve_forever()
