"""Starts the local engine (MiniStack) for its parent, and ends with it.

The parent holds the other end of stdin. However the parent ends, stdin then reaches its end, and the whole process
group (the engine and the functions that it started) ends too.
"""

import contextvars
import json
import os
import re
import shutil
import signal
import sys
import threading
import time


def end_with_the_parent():
    while os.read(0, 1024):
        pass
    shutil.rmtree(os.environ["TMPDIR"], ignore_errors=True)
    os.killpg(0, signal.SIGKILL)


def wake_event_sources():
    # Without a wake, the poller of the event sources may rest for up to a second, and delayed messages arrive late.
    from ministack.services import lambda_svc

    while True:
        time.sleep(0.1)
        lambda_svc._esm_wake.set()


threading.Thread(target=end_with_the_parent, daemon=True).start()

import ministack.app  # noqa: E402  (slow: the parent may end meanwhile)
from ministack.services import apigateway, lambda_svc, scheduler  # noqa: E402
from ministack.services.cloudformation import provisioners  # noqa: E402

import queries  # noqa: E402
import seeding  # noqa: E402

queries.mend()
seeding.mend()


def find_api_scope(api_id):
    """An API's id is enough to call it, as on AWS. The engine looks only in the account that signed the request."""
    for (account, region, found), _ in apigateway._apis.all_items():
        if found == api_id:
            return account, region
    return None


apigateway.find_api_scope = find_api_scope

metric_alarm_record = provisioners._cw_metric_alarm_record


def alarm_of_first_metric(name, props):
    """The engine refuses alarms over several metrics. Nobody waits for an alarm here, so the first metric is enough."""
    stats = [metric["MetricStat"] for metric in props.get("Metrics") or [] if "MetricStat" in metric]
    if not stats:
        return metric_alarm_record(name, props)
    first = {"MetricName": stats[0]["Metric"]["MetricName"], "Namespace": stats[0]["Metric"]["Namespace"], "Period": stats[0]["Period"]}
    return metric_alarm_record(name, {**{key: value for key, value in props.items() if key != "Metrics"}, **first})


provisioners._cw_metric_alarm_record = alarm_of_first_metric

sqs_esm_concurrency = lambda_svc._sqs_esm_concurrency


def concurrency_as_number(esm, *rest):
    """A parameter reaches the engine as text. CloudFormation makes it the number that the property asks for."""
    scaling = esm.get("ScalingConfig") or {}
    if "MaximumConcurrency" in scaling:
        scaling["MaximumConcurrency"] = int(scaling["MaximumConcurrency"])
    return sqs_esm_concurrency(esm, *rest)


lambda_svc._sqs_esm_concurrency = concurrency_as_number


def enforce_policies():
    """With AUTH=true a function may do what its role allows, and nothing else.

    What the engine lacks for that: the partition keys of a request to a table (`dynamodb:LeadingKeys`), those of a
    transaction all together, which is the stricter of the two ways to read AWS's documentation. What would be in the
    way: signatures, which calls of the tests don't have, and buckets that insist on TLS.
    """
    from ministack import app
    from ministack.core import iam_actions, iam_evaluator

    request = contextvars.ContextVar("request", default=b"")
    dynamodb_service_context, enforce, pin_request_origin = (
        iam_actions.dynamodb_service_context, iam_evaluator.enforce, app.pin_request_origin)

    def keys_of(call, table):
        """The keys of a call, or of a part of a batch or a transaction."""
        if not isinstance(call, dict) or call.get("TableName", table) != table:
            return
        for item in (call.get("Key"), call.get("Item")):
            if item:
                yield item["pk"]["S"]
        condition = re.match(r"\s*#?\w+\s*=\s*(:\w+)", call.get("KeyConditionExpression", ""))
        if condition:
            yield call["ExpressionAttributeValues"][condition[1]]["S"]
        for part in call.get("TransactItems", []):
            for action in part.values():
                yield from keys_of(action, table)
        for name, of_table in call.get("RequestItems", {}).items():
            for key in (of_table.get("Keys", []) if isinstance(of_table, dict) else []):
                if name == table:
                    yield key["pk"]["S"]

    def remember(body):
        request.set(body)
        return dynamodb_service_context(body)

    def enforce_with_keys(access_key, action, service, region, resource_arn="*", service_context=None):
        if service == "sqs":
            # A batch is allowed by the action of one message.
            action = action.removesuffix("Batch")
        if service == "dynamodb":
            table = resource_arn.split(":table/")[-1].split("/")[0]
            keys = sorted(set(keys_of(json.loads(request.get() or b"{}"), table)))
            service_context = {**(service_context or {}), **({"dynamodb:LeadingKeys": keys} if keys else {})}
        denied = enforce(access_key, action, service, region, resource_arn=resource_arn, service_context=service_context)
        if denied:
            print(f"DENIED {action} on {resource_arn}: {service_context} {denied}", file=sys.stderr)
        return denied

    iam_actions.dynamodb_service_context = remember
    iam_evaluator.enforce = enforce_with_keys
    iam_evaluator.authenticate = lambda access_key, account: None
    app.pin_request_origin = lambda address, secure: pin_request_origin(address, True)


if os.environ.get("AUTH") == "true":
    enforce_policies()

# One-time schedules must fire within a second. The engine's own sweep runs every 10 s.
scheduler._SCHEDULE_TICK_INTERVAL = 0.25
threading.Thread(target=wake_event_sources, daemon=True).start()

sys.argv = ["ministack"]
ministack.app.main()
