"""Asks a Prometheus that scrapes a fleet for every metric of docs/METRICS.md, for every expression of
grafana/fleet.json, and whether a rule fails. Waits for what needs a few scrapes, up to a limit.

    board.py http://127.0.0.1:9090 <repository>
"""

import json
import re
import sys
import time
import urllib.parse
import urllib.request

LIMIT = 60
# Loopback is reached directly, whatever proxy the machine has.
OPEN = urllib.request.build_opener(urllib.request.ProxyHandler({})).open


def get(path, **query):
    with OPEN(f"{base}{path}?{urllib.parse.urlencode(query)}", timeout=10) as answer:
        return json.load(answer)["data"]


def has_data(expression):
    return bool(get("/api/v1/query", query=expression)["result"])


def metrics(text):
    """Name and kind of each row; the process's own ones stand in a sentence."""
    for name, kind in re.findall(r"^\| `(\w+)` \| (\w+) \|", text, re.M):
        yield name + ("_count" if kind == "histogram" else "")
    yield from re.findall(r"`(process_\w+)`", text)


def expressions(board):
    for panel in board["panels"]:
        for target in panel.get("targets", []):
            expression = target["expr"].replace("$__rate_interval", "10s")
            expression = expression.replace("$fleet", "discord").replace("$process", ".*")
            yield f"{panel['title']}: {expression}", expression


base, root = sys.argv[1:]
wanted = {name: name for name in metrics(open(f"{root}/docs/METRICS.md").read())}
wanted |= dict(expressions(json.load(open(f"{root}/grafana/fleet.json"))))
assert len(wanted) > 60, f"only {len(wanted)} things to ask for"
deadline = time.monotonic() + LIMIT
missing = wanted
while missing and time.monotonic() < deadline:
    time.sleep(1)
    try:
        missing = {what: ask for what, ask in missing.items() if not has_data(ask)}
    except OSError:
        continue  # not up yet
for what in missing:
    print(f"no data: {what}", file=sys.stderr)

# What the exporter shows and the manual does not name is missing there.
shown = {name for name in get("/api/v1/label/__name__/values") if name.startswith("shardfleet_")}
documented = {re.sub(r"_count$", "", name) for name in wanted if name.startswith("shardfleet_")}
unnamed = {re.sub(r"_(bucket|sum|count)$", "", name) for name in shown} - documented
for name in unnamed:
    print(f"not in docs/METRICS.md: {name}", file=sys.stderr)

rules = [rule for group in get("/api/v1/rules")["groups"] for rule in group["rules"]]
sick = [rule for rule in rules if rule["health"] == "err"]
for rule in sick:
    print(f"rule {rule['name']}: {rule['lastError']}", file=sys.stderr)
print(f"{len(wanted) - len(missing)} of {len(wanted)} have data; {len(rules)} rules")
sys.exit(bool(missing or sick or unnamed or not rules))
