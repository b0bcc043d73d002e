"""Shows stored items as the functions see them: reads JSON of the AWS CLI, and prints it with all items in plain form.

    aws dynamodb get-item --table-name INTERACTIONS_TABLE --key '…' | python3 infra/items.py
"""

import base64
import json
import sys
import zlib
from datetime import datetime, timedelta, timezone
from pathlib import Path
from urllib.parse import quote_plus

# What compact bytes are, by the first of them; see shared/store/src/compact.rs.
BYTES, ID, MILLISECONDS, NANOSECONDS, SID, WORD = 0, 1, 64, 65, 66, 67
DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def table():
    file = Path(__file__).resolve().parent.parent / "shared/store/src/compact/form2.txt"
    lines = "\n".join(line for line in file.read_text().splitlines() if not line.startswith("#"))
    names, words, prefixes = (part.splitlines() for part in lines.split("\n\n"))
    return dict(line.split(" ") for line in names), words, prefixes


NAMES, WORDS, PREFIXES = table()


def time(nanoseconds):
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    at = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=seconds)
    fraction = f".{rest:09}".rstrip("0") if rest else ""
    return f"{at:%Y-%m-%dT%H:%M:%S}{fraction}Z"


def text(held):
    kind, rest = held[0], held[1:]
    number = int.from_bytes(rest, "big")
    if kind == MILLISECONDS:
        return time(number * 1_000_000)
    if kind == NANOSECONDS:
        return time(int.from_bytes(rest, "big", signed=True))
    if kind == SID:
        return rest[:2].decode() + rest[2:].hex()
    if kind == WORD:
        return WORDS[number]
    return PREFIXES[kind - ID] + "".join(DIGITS[number >> shift & 31] for shift in range(125, -1, -5))


def long(name):
    return name[1:] if name.startswith("~") else NAMES.get(name, name)


def expanded(value):
    (kind, held), = value.items()
    if kind == "B":
        held = base64.b64decode(held)
        return {"B": base64.b64encode(held[1:]).decode()} if held[0] == BYTES else {"S": text(held)}
    if kind == "L":
        return {"L": [expanded(inner) for inner in held]}
    if kind == "M":
        return {"M": {long(name): expanded(inner) for name, inner in held.items()}}
    return value


# How the dictionary of a request writes texts; see shared/store/src/raw.rs.
AS_JSON, AS_FORM = 1, 2
LONGEST, SHORTEST = 32_000, 4


def texts(value):
    (kind, held), = value.items()
    if kind == "S":
        return [held] if len(held.encode()) >= SHORTEST else []
    inner = held.values() if kind == "M" else held if kind == "L" else []
    return [text for value in inner for text in texts(value)]


def request(held, data):
    """The part of a request that an event was read from, byte by byte."""
    ways = {
        AS_JSON: lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
        AS_FORM: lambda text: quote_plus(text, safe="*").replace("~", "%7E"),
    }
    said = sorted({text.encode() for text in texts(data)}, key=lambda text: (len(text), text))
    phrases = (Path(__file__).resolve().parent.parent / "shared/store/src/raw/phrases1.txt").read_bytes()
    dictionary = phrases + b"".join(ways[held[0]](text.decode()).encode() + b"\n" for text in said)
    return zlib.decompressobj(wbits=-15, zdict=dictionary[-LONGEST:]).decompress(held[1:]).decode()


def plain(item):
    """An item in the plain form, whatever form it has."""
    compact = ("told", "data", "effects") if item.get("v") == {"N": "2"} else ("told",)
    whole = {name: expanded(value) if name in compact else value for name, value in item.items()} | {"v": {"N": "1"}}
    if "B" in whole.get("raw", {}):
        whole["raw"] = {"S": request(base64.b64decode(whole["raw"]["B"]), whole["data"])}
    return whole


def shown(answer):
    if isinstance(answer, list):
        return [shown(part) for part in answer]
    if isinstance(answer, dict):
        is_item = isinstance(answer.get("pk"), dict)
        return plain(answer) if is_item else {name: shown(part) for name, part in answer.items()}
    return answer


if __name__ == "__main__":
    json.dump(shown(json.load(sys.stdin)), sys.stdout, indent=1, ensure_ascii=False)
