"""Lets tests fill a table with a million items, in minutes and a few gigabytes.

`ImportTable` with `Rows` puts these items into a table that is there. They come from a test that made them as the
store does, so nothing is checked, and no stream tells of them. What many items have alike is kept once.
"""

import gc

import queries
from ministack.services import dynamodb

# As many values are kept once. What items have alike comes early and often, and ids of their own never twice.
KEPT_ONCE = 10_000


def alike(value, kept):
    """The value, or an equal one that another item has."""
    [(kind, content)] = value.items()
    if kind == "M":
        return {"M": {name: alike(member, kept) for name, member in content.items()}}
    if kind == "L":
        return {"L": [alike(entry, kept) for entry in content]}
    if isinstance(content, list):
        return value
    key = (kind, content)
    return kept.setdefault(key, value) if len(kept) < KEPT_ONCE else kept.get(key, value)


def mend():
    """Changes the engine. `queries.mend()` has looked at its version."""
    plain_import, names, kept = dynamodb._import_table, {}, {}

    def import_table(data):
        rows = data.get("Rows")
        if rows is None:
            return plain_import(data)
        table = dynamodb._tables.get(dynamodb._normalize_table_name(data["TableName"]))
        # It would look at all items again and again while more of them come, and finds no rubbish among them.
        gc.disable()
        with queries.lock:
            for row in rows:
                item = {names.setdefault(name, name): alike(value, kept) for name, value in row.items()}
                dynamodb._set_item(table, item[table["pk_name"]]["S"], item[table["sk_name"]]["S"], item)
        gc.freeze()
        gc.enable()
        return dynamodb.json_response({"Count": len(rows)})

    dynamodb._import_table = import_table
