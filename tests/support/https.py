#!/usr/bin/env python3
"""Stands in front of a registry: under TLS, and only for who shows a name and password.

usage: https.py CERTIFICATE_AND_KEY BASE_URL NAME:PASSWORD
Prints the port it took on 127.0.0.1, and runs until its standard input ends.
"""

import base64
import http.server
import ssl
import sys
import threading
import urllib.error
import urllib.request

certificate, base, who = sys.argv[1:]
shown = "Basic " + base64.b64encode(who.encode()).decode()


class Door(http.server.BaseHTTPRequestHandler):
    def pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.headers.get("Authorization") != shown:
            return self.say(401, b"{}")
        request = urllib.request.Request(base + self.path, body or None, method=self.command)
        request.add_header("Content-Type", self.headers.get("Content-Type", "application/json"))
        try:
            with urllib.request.urlopen(request) as answer:
                self.say(answer.status, answer.read())
        except urllib.error.HTTPError as error:
            self.say(error.code, error.read())

    do_GET = do_POST = do_PUT = pass_on

    def say(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_) -> None:
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Door)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate)
server.socket = context.wrap_socket(server.socket, server_side=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.server_port, flush=True)
sys.stdin.read()
