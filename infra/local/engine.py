"""Starts the local engine (MiniStack) for its parent, and ends with it.

The parent holds the other end of stdin. However the parent ends, stdin then reaches its end, and the whole process
group (the engine and the functions that it started) ends too.
"""

import os
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
from ministack.services import apigateway, scheduler  # noqa: E402
from ministack.services.cloudformation import provisioners  # noqa: E402


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

# One-time schedules must fire within a second. The engine's own sweep runs every 10 s.
scheduler._SCHEDULE_TICK_INTERVAL = 0.25
threading.Thread(target=wake_event_sources, daemon=True).start()

sys.argv = ["ministack"]
ministack.app.main()
