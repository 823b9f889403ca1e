"""What a schema alone does not see of deploy/: the ServiceMonitor finds a Service and its port, and the
compose file holds to the Compose Specification's schema. Each judge must also refuse what was broken on
purpose.

    deployed.py monitor <kustomized.yaml> …
    deployed.py compose <schema.json> <compose.yaml>
"""

import copy
import json
import pathlib
import sys

import jsonschema
import yaml


def refuses(validator, document, what, change):
    broken = copy.deepcopy(document)
    change(broken)
    assert not validator.is_valid(broken), f"the schema takes {what}"


def monitor(path):
    schema = json.loads((pathlib.Path(__file__).parent / "servicemonitor.schema.json").read_text())
    validator = jsonschema.Draft202012Validator(schema)
    objects = list(yaml.safe_load_all(open(path)))
    (monitor,) = [it for it in objects if it["kind"] == "ServiceMonitor"]
    validator.validate(monitor)
    refuses(validator, monitor, "a misspelt field", lambda it: it["spec"].update(endpoint=[]))
    refuses(validator, monitor, "a number for a port", lambda it: it["spec"]["endpoints"][0].update(port=9600))
    refuses(validator, monitor, "an interval without a unit", lambda it: it["spec"]["endpoints"][0].update(interval="5"))

    wanted = monitor["spec"]["selector"]["matchLabels"].items()
    services = [it for it in objects if it["kind"] == "Service" and wanted <= it["metadata"].get("labels", {}).items()]
    assert services, f"{path}: no Service has {dict(wanted)}"
    scraped = 0
    for service in services:
        assert service["metadata"].get("namespace") == monitor["metadata"].get("namespace"), "in another namespace"
        ports = {port.get("name") for port in service["spec"]["ports"]}
        scraped += sum(endpoint["port"] in ports for endpoint in monitor["spec"]["endpoints"])
        chosen = service["spec"]["selector"].items()
        pods = [it["spec"]["template"] for it in objects if "template" in it.get("spec", {})]
        pods = [pod for pod in pods if chosen <= pod["metadata"]["labels"].items()]
        assert len(pods) == 2, f"{path}: {len(pods)} workloads behind {service['metadata']['name']}, not both roles"
        for port in service["spec"]["ports"]:
            named = [one for pod in pods for box in pod["spec"]["containers"] for one in box["ports"]]
            target = port.get("targetPort", port["port"])
            assert any(target in (one["name"], one["containerPort"]) for one in named), f"nobody listens on {target}"
    assert scraped == len(services), f"{path}: {scraped} of {len(services)} services are scraped"
    return len(services)


def compose(schema, path):
    validator = jsonschema.Draft202012Validator(json.load(open(schema)))
    document = yaml.safe_load(open(path))
    validator.validate(document)
    grafana = lambda it: it["services"]["grafana"]
    refuses(validator, document, "a misspelt key", lambda it: grafana(it).update(volume=[]))
    refuses(validator, document, "a number for an image", lambda it: grafana(it).update(image=12))
    return len(document["services"])


what, *paths = sys.argv[1:]
if what == "monitor":
    for path in paths:
        print(f"{pathlib.Path(path).stem}: the ServiceMonitor reaches both roles through {monitor(path)} Service")
else:
    print(f"compose: {compose(*paths)} services hold to the schema")
