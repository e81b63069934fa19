"""What both servers say that they know, from their `/openapi/v2`: where to mutate, and what of an answer can be compared."""

OPEN = ("io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1", "io.k8s.apimachinery.pkg.runtime.RawExtension")
# Kinds that 1.20 has in an older version only, which says the same with other words for the version.
OLDER = {
    ("batch/v1", "CronJob"): "batch/v1beta1",
    ("policy/v1", "PodDisruptionBudget"): "policy/v1beta1",
    ("discovery.k8s.io/v1", "EndpointSlice"): "discovery.k8s.io/v1beta1",
    ("autoscaling/v2", "HorizontalPodAutoscaler"): "autoscaling/v2beta2",
    ("flowcontrol.apiserver.k8s.io/v1", "FlowSchema"): "flowcontrol.apiserver.k8s.io/v1beta1",
    ("flowcontrol.apiserver.k8s.io/v1", "PriorityLevelConfiguration"): "flowcontrol.apiserver.k8s.io/v1beta1",
}


class Type:
    """A place in the schemas of both servers; `None` stands for one that says nothing of what is in it."""

    def __init__(self, pair, schemas):
        self.schemas = schemas
        self.pair = tuple(self._resolved(one, definitions) for one, definitions in zip(pair, schemas))

    def _resolved(self, one, definitions):
        while one and "$ref" in one:
            one = definitions[one["$ref"].rsplit("/", 1)[1]]
        return one or {}

    def _below(self, *keys):
        pair = []
        for one in self.pair:
            for key in keys:
                one = one.get(key) or {}
            pair.append(one)
        return Type(pair, self.schemas)

    @property
    def name(self):
        """`string`, `integer`, `boolean`, `array`, `map`, `object`, or `any`."""
        theirs = self.pair[0]
        if theirs.get("type") == "object" or "properties" in theirs:
            return "map" if "additionalProperties" in theirs else "object" if "properties" in theirs else "any"
        return theirs.get("type") or "any"

    @property
    def format(self):
        return self.pair[0].get("format", "")

    @property
    def fields(self):
        """The names of the fields that both know."""
        known = [one.get("properties") or {} for one in self.pair]
        return [field for field in known[0] if field in known[1]]

    def field(self, name):
        return self._below("properties", name)

    def item(self):
        return self._below("items")

    def value(self):
        return self._below("additionalProperties")

    def step(self, key):
        """What is at an index or a key."""
        return self.item() if isinstance(key, int) else self.field(key) if self.name == "object" else self.value()

    def merge_key(self):
        return self.pair[0].get("x-kubernetes-patch-merge-key")

    def common(self, value):
        """The value without the fields that one of the two does not know."""
        name = self.name
        if isinstance(value, dict) and name == "object":
            return {key: self.field(key).common(one) for key, one in value.items() if key in self.fields}
        if isinstance(value, dict) and name == "map":
            return {key: self.value().common(one) for key, one in value.items()}
        if isinstance(value, list) and name == "array":
            return [self.item().common(one) for one in value]
        return value


def definitions(document):
    """The definitions of a document, and the name of that of each (apiVersion, kind)."""
    names = {}
    for name, one in document["definitions"].items():
        for kind in one.get("x-kubernetes-group-version-kind", ()):
            version = f"{kind['group']}/{kind['version']}" if kind["group"] else kind["version"]
            names.setdefault((version, kind["kind"]), name)
    return document["definitions"], names


class Kind:
    """A kind that both serve: its paths, its type, and how the words of one version become those of the other."""

    def __init__(self, version, kind, resource, type_):
        self.version, self.kind, self.type = version, kind, type_
        self.older = OLDER.get((version, kind), version)
        self.namespaced = resource["namespaced"]
        self.plural, self.verbs = resource["name"], resource["verbs"]
        self.subresources = resource["subresources"]

    def path(self, name=None, namespace="compare", subresource=None):
        path = f"/apis/{self.version}" if "/" in self.version else f"/api/{self.version}"
        if self.namespaced:
            path += f"/namespaces/{namespace}"
        return "/".join(part for part in (path, self.plural, name, subresource) if part)

    def to_older(self, text):
        return text.replace(self.version, self.older)

    def to_newer(self, text):
        return text.replace(self.older, self.version)


def kinds(upstream, ours):
    """All kinds that both serve, by (version of ours, kind)."""
    documents = [definitions(client.send("GET", "/openapi/v2")[1]) for client in (upstream, ours)]
    schemas = [document[0] for document in documents]
    found = {}
    for version, kind in documents[1][1]:
        older = OLDER.get((version, kind), version)
        names = (documents[0][1].get((older, kind)), documents[1][1][version, kind])
        resource = resource_of(ours, version, kind)
        if None in names or resource is None:
            continue
        pair = [schemas[i][name] for i, name in enumerate(names)]
        found[version, kind] = Kind(version, kind, resource, Type(pair, schemas))
    return found


def resource_of(client, version, kind):
    group = f"/apis/{version}" if "/" in version else f"/api/{version}"
    if not hasattr(client, "resources"):
        client.resources = {}
    if group not in client.resources:
        code, found = client.send("GET", group)
        client.resources[group] = found.get("resources", []) if code == 200 else []
    everything = client.resources[group]
    for one in everything:
        if one["kind"] == kind and "/" not in one["name"]:
            prefix = one["name"] + "/"
            one["subresources"] = [sub["name"][len(prefix):] for sub in everything if sub["name"].startswith(prefix)]
            return one
    return None
