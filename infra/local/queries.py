"""Lets the local engine answer a query from its page's place on, as DynamoDB does.

The engine (MiniStack) sorts a whole partition for each query and asks the key condition of each of its items. Here the
keys of a partition are sorted once and kept in order. A query then shows the engine only the items of its own page,
and the engine does with them what it always does: it checks the request, asks the conditions, cuts the page and makes
the answer. What is not understood here goes to the engine as it is.
"""

import functools
import importlib.metadata
import threading
from bisect import bisect_left, bisect_right, insort

from ministack.services import dynamodb

# The mend knows the inside of this version. Another one is looked at before it is trusted.
KNOWN = "1.5.33"

# A partition of fewer items is sorted faster than an order of it is kept.
FEW = 32

# More items than this are cut by their size before the engine gets them, since a page has a megabyte at most.
MANY = 256

# The kinds of tokens of a clause of a key condition, and what the clause says.
COMPARED = {"EQ": "=", "LT": "<", "LE": "<=", "GT": ">", "GE": ">="}

MEMBERS = dynamodb._INDEX_MEMBERS
# The engine forgets expired items in a thread of its own.
lock = threading.RLock()
shown = threading.local()


class Members(dict):
    """The engine's own members of each index, and beside them the partitions that are kept in order.

    The engine drops its members wherever items or indexes are replaced as a whole, and so the orders go with them.
    """

    def __init__(self, members):
        super().__init__(members)
        # By index (None: the table) and partition: (sort key, table's partition key, table's sort key) of each item.
        self.orders = {}


class Tables(type(dynamodb._tables)):
    """The engine's tables. While a query runs, its table has the items of its page only."""

    __slots__ = ()

    def get(self, key, default=None):
        table = getattr(shown, "table", None)
        return super().get(key, default) if table is None else table


def keys_of(table, index_name):
    """The names of the partition key and the sort key; None if it has others than two texts."""
    if index_name:
        index = dynamodb._index_def(table, index_name)
        hashes, ranges = dynamodb._index_key_lists(index) if index else ([], [])
    else:
        hashes, ranges = [table["pk_name"]], [table["sk_name"]]
    names = [*hashes, *ranges, table["pk_name"], table["sk_name"]]
    if len(hashes) != 1 or len(ranges) != 1 or not all(name and dynamodb._get_attr_type(table, name) == "S" for name in names):
        return None
    return hashes[0], ranges[0]


def order_of(table, index_name, sort, partition):
    """The keys of a partition in order; None if they are few."""
    members = dynamodb._index_members(table)
    keys = members.get(index_name, {}).get(partition, ()) if index_name else table["items"].get(partition, ())
    if len(keys) < FEW:
        return None
    if not isinstance(members, Members):
        members = table[MEMBERS] = Members(members)
    order = members.orders.get((index_name, partition))
    if order is None:
        if index_name:
            order = [(table["items"][pk][sk][sort]["S"], pk, sk) for pk, sk in keys]
        else:
            order = [(sk, partition, sk) for sk in keys]
        order.sort()
        members.orders[(index_name, partition)] = order
    return order


def text(values, name):
    """The text of an attribute; None if it is none."""
    value = (values or {}).get(name)
    return value["S"] if isinstance(value, dict) and list(value) == ["S"] and isinstance(value["S"], str) else None


def clause_of(tokens, names):
    """What a clause of a key condition says: name, operator, names of its values; None if it is not understood."""
    kinds = [kind for kind, _ in tokens]
    words = [word.lower() if kind == "IDENT" else None for kind, word in tokens]
    if len(tokens) == 3 and kinds[1] in COMPARED and kinds[2] == "VALUE_REF":
        at, operator, values = 0, COMPARED[kinds[1]], [tokens[2][1]]
    elif len(tokens) == 5 and words[1] == "between" and words[3] == "and" and kinds[2] == kinds[4] == "VALUE_REF":
        at, operator, values = 0, "between", [tokens[2][1], tokens[4][1]]
    elif words[0] == "begins_with" and kinds[1:] == ["LPAREN", kinds[2], "COMMA", "VALUE_REF", "RPAREN"]:
        at, operator, values = 2, "begins_with", [tokens[4][1]]
    else:
        return None
    name = {"IDENT": tokens[at][1], "NAME_REF": names.get(tokens[at][1])}.get(kinds[at])
    return (name, operator, values) if name else None


def bounds_of(order, operator, values):
    """From where to where in the order an operator holds of the sort key."""
    first = values[0]
    if operator == "=":
        return bisect_left(order, first, key=sort_key), bisect_right(order, first, key=sort_key)
    if operator == "<":
        return 0, bisect_left(order, first, key=sort_key)
    if operator == "<=":
        return 0, bisect_right(order, first, key=sort_key)
    if operator == ">":
        return bisect_right(order, first, key=sort_key), len(order)
    if operator == ">=":
        return bisect_left(order, first, key=sort_key), len(order)
    if operator == "between":
        return bisect_left(order, first, key=sort_key), bisect_right(order, values[1], key=sort_key)

    def beginning(entry):
        return entry[0][: len(first)]

    return bisect_left(order, first, key=beginning), bisect_right(order, first, key=beginning)


def sort_key(entry):
    return entry[0]


def page_of(table, data):
    """The partition of a query, and the keys of the items on its page and of the one after them.

    None if the engine looks for them itself.
    """
    index_name, condition = data.get("IndexName"), data.get("KeyConditionExpression")
    keys = keys_of(table, index_name)
    if not keys or not isinstance(condition, str) or data.get("KeyConditions"):
        return None
    values, names = data.get("ExpressionAttributeValues") or {}, data.get("ExpressionAttributeNames") or {}
    tokens = dynamodb._tokenize(condition)
    clauses = {}
    for clause in dynamodb._key_condition_clauses(tokens):
        understood = clause_of(clause, names)
        if not understood or understood[0] not in keys or understood[0] in clauses:
            return None
        compared = [text(values, name) for name in understood[2]]
        if None in compared:
            return None
        clauses[understood[0]] = (understood[1], compared)
    partition, sort = keys
    if clauses.get(partition, ("", []))[0] != "=" or dynamodb._check_reserved_keyword_usage(tokens):
        return None
    value = clauses[partition][1][0]
    order = order_of(table, index_name, sort, value)
    if order is None:
        return None
    low, high = bounds_of(order, *clauses[sort]) if sort in clauses else (0, len(order))
    forwards, start = data.get("ScanIndexForward", True), data.get("ExclusiveStartKey")
    if start:
        place = tuple(text(start, name) for name in (sort, table["pk_name"], table["sk_name"])) if isinstance(start, dict) else (None,)
        if None in place:
            return None
        low, high = (max(low, bisect_right(order, place)), high) if forwards else (low, min(high, bisect_left(order, place)))
    limit = data.get("Limit")
    if limit is not None and (not isinstance(limit, int) or limit < 1):
        return None
    places = range(low, high) if forwards else range(high - 1, low - 1, -1)
    if limit is not None:
        places = places[: limit + 1]
    if len(places) > MANY:
        items = (table["items"][pk][sk] for _, pk, sk in (order[place] for place in places))
        page, _ = dynamodb._paginate_evaluated_items(items, limit, table, index_name)
        # With the next item, the engine sees that the page is full.
        places = places[: len(page) + 1]
    return value, [order[place][1:] for place in places]


def shown_table(table, index_name, partition, keys):
    """The table with these items only."""
    items = {}
    for pk, sk in keys:
        items.setdefault(pk, {})[sk] = table["items"][pk][sk]
    return {**table, "items": items, MEMBERS: {index_name: {partition: dict.fromkeys(keys)}} if index_name else {}}


def mend():
    """Changes the engine. It must be of the known version."""
    found = importlib.metadata.version("ministack")
    if found != KNOWN:
        raise SystemExit(f"infra/local/queries.py knows MiniStack {KNOWN}, and this is {found}: look at both, then name the new version")

    plain_query, plain_index_item, plain_remove_item = dynamodb._query, dynamodb._index_item, dynamodb._remove_item

    def query(data):
        table = dynamodb._tables.get(dynamodb._normalize_table_name(data.get("TableName")))
        with lock:
            page = page_of(table, data) if table else None
            few = page and shown_table(table, data.get("IndexName"), *page)
        if few is None:
            return plain_query(data)
        shown.table = few
        try:
            return plain_query(data)
        finally:
            shown.table = None

    def index_item(table, base_pk, base_sk, item, add):
        plain_index_item(table, base_pk, base_sk, item, add)
        members = table.get(MEMBERS)
        if not isinstance(members, Members) or not members.orders:
            return
        places = [((None, base_pk), base_sk)]
        for name, hashes, ranges in dynamodb._index_key_schemas(table):
            partition = dynamodb._index_partition(item, hashes, ranges)
            if partition is not None and ranges:
                places.append(((name, partition), text(item, ranges[0])))
        for place, sort in places:
            order = members.orders.get(place)
            if order is None:
                continue
            entry = (sort, base_pk, base_sk)
            if add:
                insort(order, entry)
                continue
            at = bisect_left(order, entry)
            if at < len(order) and order[at] == entry:
                del order[at]
            else:
                # It is sorted anew when it is asked for.
                del members.orders[place]

    def remove_item(table, pk_val, sk_val):
        with lock:
            return plain_remove_item(table, pk_val, sk_val)

    dynamodb._query, dynamodb._index_item, dynamodb._remove_item = query, index_item, remove_item
    dynamodb._tables.__class__ = Tables
    # The same few expressions come again and again, and nothing changes what these return.
    dynamodb._tokenize = functools.lru_cache(maxsize=4096)(dynamodb._tokenize)
    dynamodb._condition_syntax_error = functools.lru_cache(maxsize=4096)(dynamodb._condition_syntax_error)
