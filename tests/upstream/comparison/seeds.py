"""The objects to start from: those of our fuzzing corpus and of `seeds.json`, without what 1.20 does not know."""

import json
from pathlib import Path

HERE = Path(__file__).parent
CORPUS = HERE / "../../../control/tests/fuzz/corpus/json"
# Where created objects live; what limits others has a place of its own.
PLACE = "seeds"
LIMITS = {"LimitRange": "limits", "ResourceQuota": "limits"}
POD_SPECS = (("spec",), ("spec", "template", "spec"), ("template", "spec"), ("spec", "jobTemplate", "spec", "template", "spec"))


class Seed:
    """An object, the kind that it is of, and where it is created."""

    def __init__(self, name, kind, object_):
        self.name, self.kind, self.object = name, kind, object_
        self.namespace = LIMITS.get(kind.kind, PLACE)

    @property
    def name_of_created(self):
        name = self.object["metadata"]["name"]
        # A definition has the name of what it defines.
        return name.replace("x.example.com", "live.example.com") if "x.example.com" in name else f"{name}-live"

    def created(self):
        """What is created for real: with a name, addresses and ports of its own, which the requests can ask for then."""
        text = json.dumps({"apiVersion": self.kind.version, "kind": self.kind.kind, **self.object})
        made = json.loads(text.replace("10.43.7.", "10.43.9.").replace("3033", "3133").replace("x.example.com", "live.example.com"))
        made["metadata"]["name"] = self.name_of_created
        return made

    def path(self, subresource=None):
        return self.kind.path(self.name_of_created, self.namespace, subresource)


def load(kinds):
    """All of a kind that both serve, in the order of their names."""
    objects = [(file.stem, json.loads(file.read_text())) for file in sorted(CORPUS.iterdir())]
    for one in json.loads((HERE / "seeds.json").read_text()):
        objects.append((f"{one['kind'].lower()}-{one['metadata'].get('name', 'review')}", one))
    seeds = []
    for name, one in objects:
        kind = kinds.get((one["apiVersion"], one["kind"]))
        if kind is not None:
            prepared = kind.type.common(one)
            prepare(name, prepared)
            seeds.append(Seed(name, kind, prepared))
    return seeds


def prepare(name, one):
    metadata = one["metadata"]
    metadata.pop("namespace", None)
    # A finalizer would keep the object after the delete, and an owner that is not there is no part of the comparison.
    for field in ("finalizers", "ownerReferences"):
        metadata.pop(field, None)
    if "name" in metadata and one["kind"] not in ("APIService", "CustomResourceDefinition"):
        metadata["name"] = name
    if one["kind"] == "Service":
        address(one["spec"])
    for webhook in one.get("webhooks", ()):
        # It is created for real, and must not be asked about anything.
        webhook["objectSelector"] = {"matchLabels": {"never": "matched"}}
    if one["kind"] == "Job":
        # Else each server makes labels of its own.
        one["spec"]["manualSelector"] = True
        one["spec"]["selector"] = {"matchLabels": {"job": "seed"}}
        one["spec"]["template"].setdefault("metadata", {}).setdefault("labels", {})["job"] = "seed"
    for path in POD_SPECS:
        spec = one
        for field in path:
            spec = spec.get(field, {}) if isinstance(spec, dict) else {}
        if "containers" in spec:
            # The name of the token's volume is made up by each server.
            spec["automountServiceAccountToken"] = False


def address(spec):
    """A Service with the address and the ports that each server would choose for itself."""
    for port in spec.get("ports", ()):
        # 1.20 cannot apply ports without it.
        port.setdefault("protocol", "TCP")
        if spec.get("type") in ("NodePort", "LoadBalancer"):
            port.setdefault("nodePort", 30330 + port["port"] % 10)
    if spec.get("type") != "ExternalName":
        spec.setdefault("clusterIP", "10.43.7.9")
