"""Signatures: botocore signs 10,000 requests, all of which are accepted, and 50 that were changed, none of which is.

A signature is checked before anything else, so an accepted request for a path that does not exist is answered
with 404, a refused one with 400 or 403.

Usage: sigv4_requests.py ENDPOINT, with TENON_ACCOUNTS: a JSON list of two objects with id, key and secret.
TENON_SEED repeats a run.
"""

import datetime
import http.client
import json
import os
import random
import sys
import time
import urllib.parse
from unittest import mock

import botocore.auth
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

COUNT = 10_000
ENDPOINT = sys.argv[1]
HOST = urllib.parse.urlsplit(ENDPOINT).netloc
A, B = json.loads(os.environ["TENON_ACCOUNTS"])
SEED = int(os.environ.get("TENON_SEED", time.time_ns() % 1_000_000))
REFUSALS = {
    "MissingAuthenticationTokenException",
    "IncompleteSignatureException",
    "InvalidSignatureException",
    "UnrecognizedClientException",
}
connection = http.client.HTTPConnection(HOST, timeout=30)
# The client would refuse some of what a hostile one sends.
connection._validate_path = lambda url: None


def sign(method, target, headers, body, account=A, service="glue", region="us-east-1", auth=SigV4Auth):
    request = AWSRequest(method=method, url=ENDPOINT + target, data=body)
    for name, value in headers:
        request.headers.add_header(name, value)
    auth(Credentials(account["key"], account["secret"]), service, region).add_auth(request)
    target = request.url.removeprefix(ENDPOINT)
    return [method, target, [("Host", HOST), *request.headers.items()], body]


def send(method, target, headers, body):
    connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
    for name, value in headers:
        connection.putheader(name, value.encode() if isinstance(value, str) else value)
    connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body)
    response = connection.getresponse()
    text = response.read()
    return response.status, json.loads(text)["__type"]


LETTERS = "abcXYZ019-._~ %/+&=?#:@!$'()*,;[]|\"<>\\^`{}äßé中文😀\u00a0\t"


def text(longest):
    return "".join(random.choice(LETTERS) for _ in range(random.randint(0, longest)))


def path():
    parts = []
    for _ in range(random.randint(0, 4)):
        part = urllib.parse.quote(text(6), safe=random.choice(["", "~", "!$&'()*+,;=:@"]))
        if random.random() < 0.2:
            part = urllib.parse.quote(part, safe="")
        parts.append(random.choice([part, part, part, part, ".", "..", ""]))
    return "/nowhere/" + "/".join(parts)


def query():
    names = [text(4) for _ in range(3)]
    pairs = []
    for _ in range(random.randint(0, 5)):
        safe = random.choice(["", "-_.~"])
        name = urllib.parse.quote(random.choice(names), safe=safe) or "n"
        value = urllib.parse.quote(text(5), safe=safe)
        if random.random() < 0.1:
            value = urllib.parse.quote(value, safe="")
        pairs.append(random.choice([name, f"{name}=", f"{name}={value}", f"{name}={value}", f"{name}={value}="]))
    return "?" + "&".join(pairs) if pairs else ""


def header_value():
    # botocore takes a no-break space for a space; it is a letter like others.
    value = text(12).replace("\t", "").replace("\u00a0", "").strip()
    return random.choice(["", " ", "  "]).join([value, "a  b"]) if random.random() < 0.3 else value


def headers():
    found = [("Content-Type", random.choice(["application/x-amz-json-1.1", "text/plain;  charset=utf-8"]))]
    for number in range(random.randint(0, 3)):
        found.append((random.choice(["X-Amz-Meta", "x-custom"]) + f"-{number}", header_value()))
    return found


def accepted():
    random.seed(SEED)
    begun = time.monotonic()
    for number in range(COUNT):
        method = random.choice(["POST", "POST", "GET", "PUT", "DELETE"])
        body = random.randbytes(random.randint(0, 300))
        request = sign(method, path() + query(), headers(), body, account=random.choice([A, B]))
        answer = send(*request)
        assert answer == (404, "UnknownOperationException"), (SEED, number, request, answer)
    print(f"{COUNT} requests accepted in {time.monotonic() - begun:.0f} s, seed {SEED}")


def header(request, name, change):
    """The request with the values of one header changed; None takes it away."""
    method, target, all_headers, body = request
    changed = []
    for found, value in all_headers:
        if found.lower() != name.lower():
            changed.append((found, value))
        elif (new := change(value)) is not None:
            changed += [(found, value) for value in (new if isinstance(new, list) else [new])]
    assert changed != all_headers, name
    return [method, target, changed, body]


def authorization(request, old, new):
    return header(request, "Authorization", lambda value: value.replace(old, new, 1))


def signed_at(minutes):
    now = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=minutes)
    with mock.patch.object(botocore.auth, "get_current_datetime", lambda *_: now.replace(tzinfo=None)):
        return base()


def base(**more):
    sent = [("Content-Type", "text/plain"), ("X-Amz-Meta", "one two"), ("X-Custom", "custom")]
    return sign("POST", "/x/y?a=1&b=2", sent, b"payload", **more)


def mutations():
    good = base()
    method, target, sent, body = good
    value = dict(sent)["Authorization"]
    signature = value.rsplit("=", 1)[1]
    names = "content-type;host;x-amz-date;x-amz-meta;x-custom"
    assert names in value, value
    day = dict(sent)["X-Amz-Date"][:8]
    flipped = ("1" if signature[0] == "0" else "0") + signature[1:]
    unsigned = [("Content-Type", "text/plain"), ("X-Amz-Content-SHA256", "UNSIGNED-PAYLOAD")]
    hashed = sign("POST", "/x", [("X-Amz-Content-SHA256", botocore.auth.EMPTY_SHA256_HASH)], b"")
    yield "method", ["PUT", target, sent, body]
    yield "method in small letters", ["post", target, sent, body]
    yield "path", [method, "/x/z?a=1&b=2", sent, body]
    yield "path in capitals", [method, "/X/y?a=1&b=2", sent, body]
    yield "path with a slash", [method, "/x/y/?a=1&b=2", sent, body]
    yield "path encoded", [method, "/x/%79?a=1&b=2", sent, body]
    yield "path doubly encoded", [method, "/x/%2579?a=1&b=2", sent, body]
    yield "query value", [method, "/x/y?a=1&b=3", sent, body]
    yield "query name", [method, "/x/y?a=1&c=2", sent, body]
    yield "query pair added", [method, "/x/y?a=1&b=2&c", sent, body]
    yield "query pair doubled", [method, "/x/y?a=1&a=1&b=2", sent, body]
    yield "query pair gone", [method, "/x/y?a=1", sent, body]
    yield "query encoded", [method, "/x/y?a=%31&b=2", sent, body]
    yield "query gone", [method, "/x/y", sent, body]
    yield "body", [method, target, sent, b"paylaod"]
    yield "body longer", [method, target, sent, body + b"\n"]
    yield "body gone", [method, target, sent, b""]
    yield "host", header(good, "Host", lambda value: "elsewhere")
    yield "host without port", header(good, "Host", lambda value: value.split(":")[0])
    yield "content type", header(good, "Content-Type", lambda value: "text/html")
    yield "content type gone", header(good, "Content-Type", lambda value: None)
    yield "time", header(good, "X-Amz-Date", lambda value: value[:-2] + ("1" if value[-2] == "0" else "0") + "Z")
    yield "time gone", header(good, "X-Amz-Date", lambda value: None)
    yield "time twice", header(good, "X-Amz-Date", lambda value: [value, value])
    yield "time in words", header(good, "X-Amz-Date", lambda value: "Mon, 09 Sep 2011 23:36:00 GMT")
    yield "header", header(good, "X-Amz-Meta", lambda value: "one three")
    yield "header twice", header(good, "X-Amz-Meta", lambda value: [value, value])
    yield "header gone", header(good, "X-Amz-Meta", lambda value: None)
    yield "custom header", header(good, "X-Custom", lambda value: "Custom")
    yield "unsigned x-amz header", [method, target, [*sent, ("X-Amz-Target", "AWSGlue.GetDatabases")], body]
    yield "session token", [method, target, [*sent, ("X-Amz-Security-Token", "00")], body]
    yield "signature", authorization(good, signature, flipped)
    yield "signature shorter", authorization(good, signature, signature[:-2])
    yield "signature in capitals", authorization(good, signature, "A" + signature[1:].upper())
    yield "signature of zeros", authorization(good, signature, "0" * 64)
    yield "no signature", authorization(good, signature, "")
    yield "unknown key", authorization(good, A["key"], "AKIAIOSFODNN7EXAMPLE")
    yield "key of the other", authorization(good, A["key"], B["key"])
    yield "no key", authorization(good, A["key"], "")
    yield "day of the scope", authorization(good, f"/{day}/", "/20150830/")
    yield "region of the scope", authorization(good, "/us-east-1/", "/eu-west-1/")
    yield "service of the scope", authorization(good, "/glue/", "/sts/")
    yield "end of the scope", authorization(good, "/aws4_request", "/aws5_request")
    yield "scope of another region, signed", base(region="eu-west-1")
    yield "scope of another service, signed", base(service="s3")
    yield "content type not named", authorization(good, names, names.removeprefix("content-type;"))
    yield "host not named", authorization(good, names, names.replace("host;", ""))
    yield "date not named", authorization(good, names, names.replace("x-amz-date;", ""))
    yield "names in another order", authorization(good, names, "host;content-type;x-amz-date;x-amz-meta;x-custom")
    yield "names in capitals", authorization(good, names, names.replace("host", "Host"))
    yield "absent header named", authorization(good, names, names + ";x-else")
    yield "nothing named", authorization(good, names, "")
    yield "algorithm", authorization(good, "AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1")
    yield "authorization gone", header(good, "Authorization", lambda value: None)
    yield "authorization twice", header(good, "Authorization", lambda value: [value, value])
    yield "authorization cut", header(good, "Authorization", lambda value: value[:40])
    yield "bearer", header(good, "Authorization", lambda value: "Bearer " + signature)
    yield "unsigned payload", sign("POST", "/x", unsigned, b"payload")
    yield "hash of another payload", [*hashed[:3], b"payload"]
    yield "in the query", sign("POST", "/x", [], b"", auth=SigV4QueryAuth)
    yield "six minutes old", signed_at(-6)
    yield "six minutes early", signed_at(6)
    yield "another secret", base(account={**A, "secret": A["secret"][:-1] + ("a" if A["secret"][-1] != "a" else "b")})


def refused():
    assert send(*base()) == (404, "UnknownOperationException")
    count = 0
    for what, request in mutations():
        status, name = send(*request)
        assert status in (400, 403) and name in REFUSALS, (what, status, name)
        count += 1
    assert send(*base()) == (404, "UnknownOperationException")
    print(f"{count} changed requests refused")


refused()
accepted()
