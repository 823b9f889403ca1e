"""The board read by Grafana's own models (its foundation SDK): every field is one that Grafana knows, of
the type that it wants, and of a panel or query type that exists; and the files that provision it hold
what Grafana's provisioning reads.

    grafana.py <repository>
"""

import enum
import inspect
import json
import pathlib
import sys
import typing

import yaml
from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.runtime import panelcfg_config
from grafana_foundation_sdk.models.dashboard import Dashboard

# What the models leave to a data source's plugin: Prometheus' titles of annotations, and the text that
# Grafana shows for a query of a variable.
OF_A_PLUGIN = ("titleFormat", "textFormat", "definition")

plugins.register_default_plugins()


def lost(given, kept, path, faults):
    """What does not come back out of the models was not known to them."""
    if isinstance(given, dict) and isinstance(kept, dict):
        for key in given:
            if key in kept:
                lost(given[key], kept[key], f"{path}.{key}", faults)
            elif key not in OF_A_PLUGIN:
                faults.append(f"{path}.{key}: Grafana knows no such field")
    elif isinstance(given, list) and isinstance(kept, list) and len(given) == len(kept):
        for at, pair in enumerate(zip(given, kept)):
            lost(*pair, f"{path}[{at}]", faults)
    elif given != kept:
        faults.append(f"{path}: {given!r} is read as {kept!r}")


def fits(value, hint):
    """Whether a value is of the type that its field is declared with."""
    origin, of = typing.get_origin(hint), typing.get_args(hint)
    if hint in (typing.Any, object) or isinstance(hint, typing.TypeVar):
        return True
    if origin is typing.Union:
        return any(fits(value, one) for one in of)
    if origin is typing.Literal:
        return value in of
    if origin is list:
        return isinstance(value, list) and all(fits(one, of[0]) for one in value)
    if origin is dict:
        return isinstance(value, dict) and all(fits(one, of[1]) for one in value.values())
    if inspect.isclass(hint) and issubclass(hint, enum.Enum):
        return value in [one.value for one in hint]
    if hint is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if isinstance(value, dict) and hasattr(hint, "from_json"):
        # Taken as it is by the model around it.
        return set(value) <= set(hint.from_json(value).to_json())
    return isinstance(value, hint) if inspect.isclass(hint) else True


def typed(node, path, faults):
    """Goes through a model, and looks at each field."""
    if isinstance(node, (list, dict)):
        items = enumerate(node) if isinstance(node, list) else node.items()
        for key, one in items:
            typed(one, f"{path}[{key}]", faults)
    elif type(node).__module__.startswith("grafana_foundation_sdk") and not isinstance(node, enum.Enum):
        for field, hint in typing.get_type_hints(type(node)).items():
            value = getattr(node, field)
            if not fits(value, hint):
                faults.append(f"{path}.{field}: {value!r} is no {hint}")
            typed(value, f"{path}.{field}", faults)


def provisioned(root):
    """<https://grafana.com/docs/grafana/latest/administration/provisioning/>"""
    folder = root / "grafana/provisioning"
    (provider,) = yaml.safe_load((folder / "dashboards/fleet.yaml").read_text())["providers"]
    assert set(provider) <= set("name orgId folder folderUid type disableDeletion updateIntervalSeconds allowUiUpdates options".split())
    assert provider["type"] == "file", provider
    (source,) = yaml.safe_load((folder / "datasources/prometheus.yaml").read_text())["datasources"]
    known = "name type access orgId uid url user database basicAuth basicAuthUser withCredentials isDefault jsonData secureJsonData version editable"
    assert set(source) <= set(known.split()) and source["access"] == "proxy", source
    compose = yaml.safe_load((root / "deploy/compose.yaml").read_text())["services"]
    mounted = [volume.split(":")[1] for volume in compose["grafana"]["volumes"]]
    assert f"{provider['options']['path']}/fleet.json" in mounted, "the provider looks elsewhere"
    host = source["url"].split("/")[2].split(":")[0]
    assert host in compose, f"{source['url']} is no service of compose.yaml"


def asked_for(board):
    """Queries and variables name each other rightly."""
    text = json.dumps([board["panels"], board["annotations"]])
    for variable in board["templating"]["list"]:
        assert f"${variable['name']}" in text or f"${{{variable['name']}}}" in text, f"{variable['name']} is not used"
    places = [(panel["id"], panel["gridPos"]) for panel in board["panels"]]
    assert len({number for number, _ in places}) == len(places), "two panels have one id"
    taken = {}
    for number, at in places:
        assert at["x"] + at["w"] <= 24, f"panel {number} leaves the board"
        for cell in ((x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])):
            assert taken.setdefault(cell, number) == number, f"panels {number} and {taken[cell]} overlap"


def judge(given):
    faults = []
    for panel in given["panels"]:
        # Of a type that the models do not know, options would be taken unread.
        if panel["type"] != "row" and not panelcfg_config(panel["type"]):
            faults.append(f"{panel['title']}: Grafana has no panel {panel['type']}")
    board = Dashboard.from_json(given)
    lost(given, json.loads(JSONEncoder().encode(board)), "board", faults)
    typed(board, "board", faults)
    return faults


def doctored(text, instead, by):
    """The judge is judged: what is wrong on purpose must be found."""
    assert instead in text, instead
    assert judge(json.loads(text.replace(instead, by, 1))), f"{by} passes for {instead}"


root = pathlib.Path(sys.argv[1])
given = json.loads((root / "grafana/fleet.json").read_text())
faults = judge(given)
text = json.dumps(given)
doctored(text, '"refresh": "5s"', '"refreshes": "5s"')
doctored(text, '"type": "timeseries"', '"type": "timeserie"')
doctored(text, '"legendFormat"', '"legend"')
doctored(text, '"graphTooltip": 1', '"graphTooltip": 7')
doctored(text, '"fillOpacity": ', '"fillOpacities": ')
doctored(text, '"unit": "', '"unit": 7, "": "')
asked_for(given)
provisioned(root)
for fault in faults:
    print(fault, file=sys.stderr)
print(f"{len(given['panels'])} panels, {len(faults)} faults")
sys.exit(bool(faults))
