"""The steps of docs/restore.md that need more than one AWS command. Needs the AWS CLI; credentials and region are its.

    restore.py detach PROCESSED.json ConfigTable=TABLE InteractionsTable=TABLE    a template on the restored tables
    restore.py import DETACHED.json PROCESSED.json                               the same, with the tables to import
    restore.py events OLD_TABLE NEW_TABLE SINCE                                  customers' messages since then
    restore.py timers NEW_TABLE QUEUE_URL                                        the ends of all waits
    restore.py documents DERIVED_TABLE NEW_TABLE SINCE                           documents of what is no longer there
"""

import json
import re
import subprocess
import sys
from datetime import datetime, timedelta

import items

# How long an event is kept: its attribute `expires_at` is that much later than its arrival.
EVENTS_KEPT = timedelta(days=30)
TABLES = ("ConfigTable", "InteractionsTable")


def aws(*arguments, body=None):
    """Runs the AWS CLI and returns its answer. `body` replaces the arguments of a call as one JSON document."""
    command = ["aws", *arguments, "--output", "json", "--no-paginate"]
    if body is not None:
        command += ["--cli-input-json", json.dumps(body)]
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(answer) if answer.strip() else {}


def known(table):
    """What the template asks of a table: its name and its ARNs."""
    found = aws("dynamodb", "describe-table", "--table-name", table)["Table"]
    return {"": found["TableName"], "Arn": found["TableArn"], "StreamArn": found.get("LatestStreamArn", "")}


def detached(part, values):
    """The part of a template with the tables' names and ARNs in place of references to them."""
    if isinstance(part, list):
        return [detached(item, values) for item in part]
    if isinstance(part, str):
        return part
    if not isinstance(part, dict):
        return part
    if part.keys() == {"Ref"} and part["Ref"] in values:
        return values[part["Ref"]][""]
    if part.keys() == {"Fn::GetAtt"}:
        target = part["Fn::GetAtt"]
        logical, attribute = target.split(".", 1) if isinstance(target, str) else target
        if logical in values:
            return values[logical][attribute]
    if part.keys() == {"Fn::Sub"}:
        sub = part["Fn::Sub"]
        text, rest = (sub, []) if isinstance(sub, str) else (sub[0], sub[1:])
        for logical, attributes in values.items():
            for attribute, value in attributes.items():
                text = text.replace("${%s}" % (f"{logical}.{attribute}" if attribute else logical), value)
        return {"Fn::Sub": [text, *detached(rest, values)] if rest else text}
    return {name: detached(value, values) for name, value in part.items()}


def detach(processed, *tables):
    values = {logical: known(table) for logical, table in (pair.split("=", 1) for pair in tables)}
    template = json.load(open(processed))
    for logical in values:
        assert template["Resources"].pop(logical)["Type"] == "AWS::DynamoDB::Table", logical
    if any("InteractionsTable" in logical and not attributes["StreamArn"] for logical, attributes in values.items()):
        sys.exit("the table of conversations has no stream yet")
    print(json.dumps(detached(template, values), indent=1))


def with_tables(detached_file, processed):
    template, whole = json.load(open(detached_file)), json.load(open(processed))
    for logical in TABLES:
        template["Resources"].setdefault(logical, whole["Resources"][logical])
    print(json.dumps(template, indent=1))


def pages(operation, **request):
    while True:
        answer = aws("dynamodb", operation, body=request)
        yield from answer["Items"]
        if "LastEvaluatedKey" not in answer:
            return
        request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]


def events(old, new, since):
    """Puts the events that came since then into the new table, as if they had just come. Its stream has them routed."""
    begin = datetime.fromisoformat(since.replace("Z", "+00:00")) + EVENTS_KEPT
    values = {":kind": {"S": "EVT"}, ":begin": {"N": str(int(begin.timestamp()))}}
    found = pages("scan", TableName=old, FilterExpression="sk = :kind AND expires_at >= :begin", ExpressionAttributeValues=values)
    count = 0
    for item in found:
        # Where it went in the old table says nothing about the new one.
        item.pop("routed", None)
        try:
            aws("dynamodb", "put-item", body={"TableName": new, "Item": item, "ConditionExpression": "attribute_not_exists(pk) OR attribute_not_exists(routed)"})
            count += 1
        except subprocess.CalledProcessError:
            print(f"an event was routed before the restored point, or was refused: {item['sk']['S']}", file=sys.stderr)
    print(f"{count} events")


def plain(value):
    """A value of DynamoDB as JSON."""
    (kind, held), = value.items()
    if kind == "M":
        return {name: plain(inner) for name, inner in held.items()}
    if kind == "L":
        return [plain(inner) for inner in held]
    return int(held) if kind == "N" else held if kind != "NULL" else None


def waits(interaction):
    """The ends of an interaction's waits: each with its time and the timer that ends it."""
    wait = interaction.get("wait") or {}
    offer, idle = wait.get("offer") or {}, interaction.get("inactivity") or {}
    if wait.get("until"):
        yield wait["until"], {"timer": "wait", "wait": wait["id"]}
    if offer.get("until"):
        yield offer["until"], {"timer": "offer", "offer": offer["id"]}
    if wait.get("missed"):
        # One look now: agents who were left alone for a while are asked again when their time has come.
        yield datetime.now().astimezone().isoformat(), {"timer": "again", "wait": wait["id"]}
    if idle.get("deadline") and idle.get("armed") is not None:
        yield idle["deadline"], {"timer": "inactivity", "armed": idle["armed"]}


def timers(table, queue):
    """Sends the end of every open interaction's waits. What comes early is sent again by `route` until it is due."""
    count = 0
    for row in pages("scan", TableName=table, IndexName="open-interactions"):
        key = {"pk": row["pk"], "sk": row["sk"]}
        item = aws("dynamodb", "get-item", body={"TableName": table, "Key": key, "ConsistentRead": True}).get("Item")
        if not item:
            continue
        account, contact = re.fullmatch(r"CONV#([^#]+)#(.+)", item["pk"]["S"]).groups()
        place = {"account": account, "contact": contact, "interaction": item["sk"]["S"].removeprefix("INT#")}
        for at, which in waits(plain(items.plain(item)["data"])):
            job = {"v": 1, "job": {"wakeup": "timer", **place, "at": at, "which": which}}
            aws("sqs", "send-message", "--queue-url", queue, "--message-body", json.dumps(job))
            count += 1
    print(f"{count} timers")


def documents(derived, table, since):
    """Deletes what searches keep of conversations that closed since then and that the restored table does not know."""
    count = 0
    # To the second: a fraction would sort before a time that ends with it.
    values = {":kind": {"S": "DOC"}, ":since": {"S": since[:19]}}
    names = {"#data": "data", "#closed": "closed_at"}
    condition = "sk = :kind AND #data.#closed >= :since"
    for item in pages("scan", TableName=derived, FilterExpression=condition, ExpressionAttributeNames=names, ExpressionAttributeValues=values):
        reference = {"pk": {"S": item["pk"]["S"].replace("DOC#", "REF#")}, "sk": {"S": "REF"}}
        if not aws("dynamodb", "get-item", body={"TableName": table, "Key": reference, "ConsistentRead": True}).get("Item"):
            aws("dynamodb", "delete-item", body={"TableName": derived, "Key": {"pk": item["pk"], "sk": item["sk"]}})
            count += 1
    print(f"{count} documents")


if __name__ == "__main__":
    steps = {"detach": detach, "import": with_tables, "events": events, "timers": timers, "documents": documents}
    if len(sys.argv) < 3 or sys.argv[1] not in steps:
        sys.exit(__doc__)
    steps[sys.argv[1]](*sys.argv[2:])
