#!/usr/bin/env python3
"""Prints a recorded request as a configuration for curl, signed for its account of `cargo local`.

    python3 events/curl.py events/meta/text.json | curl -sS -i -K -

A `.form` file is a request as on the wire, except for the line breaks in its body. A `.json` file is
{"method", "target", "headers", "body"}. In the target, `{token}` stands for the token of the Receive URL. The addresses
of the run and the accounts' secrets are in .local/endpoints.json, or in the file that ENDPOINTS names.
"""

import base64
import hashlib
import hmac
import json
import os
import pathlib
import sys
import time
import urllib.parse

# The account type of each folder's files. Sinch's older API shares the folder of the newer one.
TYPES = {"twilio": "TWILIO", "meta": "META", "sinch": "SINCH_V2", "kaleyra": "KALEYRA"}


def read(path):
    """Method, target, headers and body of a recorded request."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".json":
        request = json.loads(text)
        body = request.get("body")
        if body is None:
            body = ""
        elif not isinstance(body, str):
            body = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
        return request["method"], request["target"], dict(request["headers"]), body
    head, _, body = text.partition("\n\n")
    first, *lines = head.split("\n")
    method, target = first.split(" ", 1)
    return method, target, dict(line.split(": ", 1) for line in lines), body.replace("\n", "")


def sign(account, url, headers, body):
    """Adds the proof of origin that the provider would add."""
    kind, data = account["type"], body.encode()
    lower = {name.lower(): value for name, value in headers.items()}
    if kind == "TWILIO":
        # The URL, then the parameters: names sorted, and the distinct values of each name sorted.
        pairs = sorted(set(urllib.parse.parse_qsl(body, keep_blank_values=True)))
        message = url + "".join(name + value for name, value in pairs)
        digest = hmac.new(account["auth_token"].encode(), message.encode(), hashlib.sha1).digest()
        headers["X-Twilio-Signature"] = base64.b64encode(digest).decode()
    elif kind == "META":
        headers["X-Hub-Signature-256"] = "sha256=" + hmac.new(account["app_secret"].encode(), data, hashlib.sha256).hexdigest()
    elif kind == "SINCH_V2":
        prefix = "x-sinch-webhook-signature"
        nonce = lower.get(prefix + "-nonce", "01N0NCE")
        # Now: a callback that was signed before the events of that time expired is not taken as new.
        timestamp = str(int(time.time()))
        message = b".".join([data, nonce.encode(), timestamp.encode()])
        digest = hmac.new(account["webhook_secret"].encode(), message, hashlib.sha256).digest()
        signature = {"": base64.b64encode(digest).decode(), "-nonce": nonce, "-timestamp": timestamp, "-algorithm": "HmacSHA256"}
        for name in [name for name in headers if name.lower().startswith(prefix)]:
            del headers[name]
        headers.update({prefix + suffix: value for suffix, value in signature.items()})
    elif account.get("callback_header"):
        # Neither Kaleyra nor Sinch's older API signs. The account may require a header instead.
        headers[account["callback_header"]] = account["callback_header_value"]


def quoted(text):
    """A value in the form of a curl configuration."""
    for plain, escaped in (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n"), ("\r", "\\r"), ("\t", "\\t")):
        text = text.replace(plain, escaped)
    return f'"{text}"'


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    path = pathlib.Path(sys.argv[1])
    root = pathlib.Path(__file__).resolve().parent.parent
    endpoints = json.loads(pathlib.Path(os.environ.get("ENDPOINTS", root / ".local" / "endpoints.json")).read_text(encoding="utf-8"))
    kind = "SINCH" if path.name.startswith("legacy-") else TYPES[path.resolve().parent.name]
    key, account = next((key, account) for key, account in endpoints["secrets"].items() if account["type"] == kind)
    method, target, headers, body = read(path)
    url = endpoints["receive"][key].split("#")[0] + target.partition("{token}")[2]
    url = url.replace("{verify_token}", account.get("verify_token", ""))
    sign(account, url, headers, body)
    print(f"url = {quoted(url)}\nrequest = {quoted(method)}")
    for name, value in headers.items():
        print(f"header = {quoted(f'{name}: {value}')}")
    if body:
        print(f"data-raw = {quoted(body)}")


main()
