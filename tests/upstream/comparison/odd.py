"""Requests that are odd in other ways than by a field of an object: lists, tables, deletes, patches, conflicts.

None asks for `pretty` or for YAML, of which Debian's kube-apiserver dies (its encoder is older than its Go), and none begins a
watch, which would not end.
"""

from urllib.parse import quote

from cases import APPLY, JSON, JSON_PATCH, MERGE, STRATEGIC, Case, with_dry_run

SELECTORS = [
    "a", "a=b", "a==b", "a!=b", "!a", "a in (b,c)", "a notin (b)", "a in ()", "a in", "a in (b", "a=b,c=d", ",", "a,", "=b",
    "a=b=c", "a>1", "a<x", "a>1.5", "-a=b", "a=-b", "a/b/c=d", "x" * 64, "a=" + "x" * 64, "UPPER/x=y", "a = b", "a  in(b)",
    "!", "!a=b", "a in (b,)", "é=a",
]
FIELDS = [
    "metadata.name=x", "metadata.name!=x", "metadata.name==x", "metadata.namespace=compare", "metadata.name",
    "metadata.uid=x", "spec.nodeName=n", "status.phase!=Running", "metadata.name=x,metadata.name=y", "metadata.name in (x)",
    "=", "a\\,b=c", "metadata.name=x\\", "type=Opaque", "spec.unschedulable=true", "involvedObject.name=x", "reason=x",
    "status.podIP=", "status.replicas=0", "spec.restartPolicy=Always", "metadata.name=", "metadata.name=UPPER",
]
LISTS = [
    "limit=0", "limit=1", "limit=2", "limit=-1", "limit=x", "limit=", "limit=9223372036854775808", "limit=1.5",
    "continue=x", "continue=", "continue=e30",
    "limit=1&continue=eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MSwic3RhcnQiOiJ4XHUwMDAwIn0", "resourceVersion=0",
    "resourceVersion=x", "resourceVersion=-1", "resourceVersion=1&continue=x",
    "resourceVersion=9223372036854775807&timeoutSeconds=1", "resourceVersionMatch=Exact",
    "resourceVersionMatch=NotOlderThan", "resourceVersionMatch=x&resourceVersion=1",
    "resourceVersion=0&resourceVersionMatch=Exact", "resourceVersion=0&resourceVersionMatch=NotOlderThan",
    "resourceVersion=1&resourceVersionMatch=", "resourceVersionMatch=Exact&resourceVersion=0&limit=1",
    "resourceVersionMatch=NotOlderThan&resourceVersion=1&continue=x", "timeoutSeconds=x", "timeoutSeconds=-1",
    "timeoutSeconds=0", "watch=false", "watch=0", "allowWatchBookmarks=x", "noSuch=1", "watch=true&resourceVersion=x",
    "watch=true&labelSelector=a%20in", "watch=true&fieldSelector=a", "limit=1&limit=2", "LIMIT=1",
]
ACCEPTS = [
    "*/*", "application/*", "text/html", "application/xml", "application/json;q=0.5", "",
    "application/json;as=Table;v=v1;g=meta.k8s.io", "application/json;as=Table;v=v2;g=meta.k8s.io",
    "application/json;as=Table;v=v1;g=x", "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io",
    "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io", "application/json;as=Nothing;v=v1;g=meta.k8s.io",
    "text/html,application/json", "application/json;as=Table;v=v1beta1;g=meta.k8s.io",
]
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
DELETES = [
    None, {}, {"propagationPolicy": "Foreground"}, {"propagationPolicy": "Background"}, {"propagationPolicy": "Orphan"},
    {"propagationPolicy": "x"}, {"propagationPolicy": ""}, {"orphanDependents": True}, {"orphanDependents": False},
    {"orphanDependents": True, "propagationPolicy": "Orphan"}, {"gracePeriodSeconds": -1}, {"gracePeriodSeconds": 0},
    {"gracePeriodSeconds": 2**40}, {"gracePeriodSeconds": "x"}, {"preconditions": {"uid": "x"}},
    {"preconditions": {"resourceVersion": "1"}}, {"preconditions": {"uid": "@uid@", "resourceVersion": "@rv@"}},
    {"preconditions": "x"}, {"dryRun": ["x"]}, {"dryRun": "All"}, {"dryRun": ["All", "All"]},
    {"kind": "DeleteOptions", "apiVersion": "v1"}, {"kind": "Pod", "apiVersion": "v1"},
    {"kind": "DeleteOptions", "apiVersion": "meta.k8s.io/v1"}, {"kind": "DeleteOptions", "apiVersion": "x/v9"},
    {"noSuch": 1}, [], b"{", b"x", b'"x"',
]
RAW = [b"", b"x", b"null", b"[]", b"{}", b'"x"', b"5", b"{", b"[{}]", b"[null]", b"[5]"]
OPERATIONS = [
    {"op": "test", "path": "/metadata/name", "value": "x"}, {"op": "test", "path": "/metadata/nothing", "value": None},
    {"op": "x", "path": "/a"}, {"op": "remove", "path": "/nothing"}, {"op": "replace", "path": "/nothing", "value": 1},
    {"op": "add", "path": "/a/b/c", "value": 1}, {"op": "add", "path": "metadata", "value": 1},
    {"op": "add", "path": "", "value": {}}, {"op": "move", "from": "/nothing", "path": "/a"},
    {"op": "move", "from": "/metadata/labels", "path": "/metadata/annotations"},
    {"op": "copy", "from": "/metadata/name", "path": "/metadata/labels"}, {"op": "copy", "path": "/a"},
    {"op": "add", "path": "/metadata/labels", "value": {"a": "b"}},
    {"op": "add", "path": "/metadata/finalizers", "value": ["a/b"]},
    {"op": "add", "path": "/metadata/finalizers/-", "value": "a/b"}, {"op": "remove", "path": "/metadata/name"},
    {"op": "replace", "path": "/kind", "value": "x"}, {"op": "replace", "path": "/apiVersion", "value": "x/v1"},
    {"op": "add", "path": "/metadata/~2", "value": 1},
]
BODIES = [
    {"metadata": None}, {"metadata": {"name": "other"}}, {"metadata": {"namespace": "other"}}, {"metadata": {"uid": "x"}},
    {"metadata": {"resourceVersion": "1"}}, {"metadata": {"resourceVersion": "x"}}, {"metadata": {"labels": {"a": None}}},
    {"metadata": {"labels": {"a": 1}}}, {"metadata": {"labels": []}}, {"metadata": {"finalizers": ["a/b", "a/b"]}},
    {"metadata": {"finalizers": ["x"]}}, {"metadata": {"generation": 5}},
    {"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}, {"metadata": {"creationTimestamp": "x"}},
    {"metadata": {"managedFields": []}}, {"metadata": {"managedFields": [{}]}},
    {"metadata": {"ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "x", "uid": "y"}]}},
    {"metadata": {"ownerReferences": [{"uid": "y"}]}}, {"kind": "x"}, {"apiVersion": "v9"}, {"noSuch": 1}, {"spec": None},
    {"spec": 5},
]
DIRECTIVES = [
    {"$patch": "delete"}, {"$patch": "replace", "metadata": {"name": "x"}}, {"$patch": "x"},
    {"metadata": {"labels": {"$patch": "replace", "a": "b"}}}, {"metadata": {"labels": {"$patch": "delete"}}},
    {"metadata": {"$retainKeys": ["name"], "name": "x"}}, {"metadata": {"$retainKeys": "x"}},
    {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"]}}, {"metadata": {"$setElementOrder/finalizers": ["a"]}},
    {"metadata": {"finalizers": ["$patch"]}}, {"metadata": {"ownerReferences": [{"$patch": "replace"}]}},
    {"metadata": {"ownerReferences": [{"$patch": "delete", "uid": "x"}]}},
    {"metadata": {"ownerReferences": [{"$patch": "delete"}]}},
]
PATCHES = [
    *((content, body) for content in (MERGE, STRATEGIC, JSON_PATCH, APPLY) for body in RAW),
    *((content, {}) for content in (JSON, "text/plain", "", "application/yaml", MERGE + ";charset=utf-8")),
    *((JSON_PATCH, [operation]) for operation in OPERATIONS),
    *((content, body) for content in (MERGE, STRATEGIC) for body in BODIES),
    *((STRATEGIC, body) for body in DIRECTIVES),
]


def lists(kind):
    path = kind.path(namespace="seeds")
    for query in LISTS + ["labelSelector=" + quote(one) for one in SELECTORS] + ["fieldSelector=" + quote(one) for one in FIELDS]:
        yield Case("list", kind, query, "GET", f"{path}?{query}")
    for accept in ACCEPTS:
        yield Case("list", kind, f"Accept {accept}", "GET", path + "?limit=1", accept=accept)


def collections(kind):
    path = kind.path(namespace="compare")
    for query in ("dryRun=All", "dryRun=x", "dryRun=All&labelSelector=a%20in", "dryRun=All&fieldSelector=x%3Dy", "dryRun=All&limit=x", "dryRun=All&propagationPolicy=x",
            "dryRun=All&gracePeriodSeconds=x", "dryRun=All&orphanDependents=x", "dryRun=All&resourceVersion=x", "dryRun=All&timeoutSeconds=x"):
        yield Case("delete collection", kind, query, "DELETE", f"{path}?{query}")


def of_object(seed):
    """What is asked of one created object."""
    kind, path = seed.kind, seed.path()
    yield Case("table", kind, "one", "GET", path, accept=TABLE, seed=seed)
    for include in ("None", "Metadata", "Object", "x"):
        yield Case("table", kind, f"includeObject={include}", "GET", f"{path}?includeObject={include}", accept=TABLE, seed=seed)
    for accept in ACCEPTS:
        yield Case("get", kind, f"Accept {accept}", "GET", path, accept=accept, seed=seed)
    for query in ("resourceVersion=x", "resourceVersion=0", "export=true", "noSuch=1"):
        yield Case("get", kind, query, "GET", f"{path}?{query}", seed=seed)
    for content, body in PATCHES:
        query = "&fieldManager=comparison" if content == APPLY else ""
        yield Case("odd patch", kind, f"{content} {body}", "PATCH", with_dry_run(path, query), body, content, seed=seed)
    whole = seed.created()
    for query in ("", "&fieldManager=", "&fieldManager=other", "&fieldManager=other&force=true", "&fieldManager=other&force=x", "&fieldManager=" + "x" * 129, "&fieldManager=a%01", "&force=true&fieldManager=first"):
        yield Case("apply", kind, f"by another {query[:40]}", "PATCH", with_dry_run(path, query), altered(whole), APPLY, seed=seed)
    yield Case("apply", kind, "by the first", "PATCH", with_dry_run(path, "&fieldManager=first"), whole, APPLY, seed=seed)
    yield Case("apply", kind, "nothing by the first", "PATCH", with_dry_run(path, "&fieldManager=first"),
        {"apiVersion": kind.version, "kind": kind.kind, "metadata": {"name": seed.name_of_created}}, APPLY, seed=seed)
    for name, subresource in (("scale", "scale"), ("status", "status")):
        if subresource in kind.subresources:
            yield Case("get", kind, name, "GET", seed.path(subresource), seed=seed)


def deletes(seed):
    """Last, for those that 1.20 carries out in spite of `dryRun`."""
    kind, path = seed.kind, seed.path()
    for body in DELETES:
        # What is in a body hides what is in the query.
        sent = {"dryRun": ["All"], **body} if isinstance(body, dict) else body
        yield Case("delete", kind, f"body {body}", "DELETE", with_dry_run(path), sent, seed=seed)
    for query in ("propagationPolicy=x", "gracePeriodSeconds=x", "gracePeriodSeconds=-1", "orphanDependents=x", "orphanDependents=true&propagationPolicy=Orphan", "dryRun=All"):
        yield Case("delete", kind, query, "DELETE", with_dry_run(path, "&" + query), seed=seed)


def altered(whole):
    """Another value for each text and number that may well be changed."""
    def of(value, key=""):
        if isinstance(value, dict):
            return {name: one if name in ("metadata", "apiVersion", "kind", "name", "selector") else of(one, name) for name, one in value.items()}
        if isinstance(value, list):
            return [of(one, key) for one in value]
        return value + 1 if isinstance(value, int) and not isinstance(value, bool) else value
    return of(whole)


def unusual(seed):
    """Creates and updates whose paths and bodies do not fit."""
    kind, object_ = seed.kind, seed.created()
    path, collection = seed.path(), kind.path(namespace=seed.namespace)
    whole = object_
    other = {**whole, "metadata": {**object_["metadata"], "name": "other"}}
    cases = [
        ("POST", path, whole, JSON), ("PUT", collection, whole, JSON), ("PUT", path, other, JSON),
        ("PUT", kind.path("other", seed.namespace), other, JSON), ("PUT", kind.path("other", seed.namespace), whole, JSON),
        ("POST", collection, whole, JSON), ("POST", kind.path(namespace="nowhere"), other, JSON),
        ("POST", collection, {**whole, "kind": "Nothing"}, JSON), ("POST", collection, {**whole, "apiVersion": "v9"}, JSON),
        ("POST", collection, {**whole, "apiVersion": "a/b/c"}, JSON),
        ("POST", collection, {**other, "apiVersion": ""}, JSON), ("POST", collection, {**other, "kind": ""}, JSON),
        ("POST", collection, {**whole, "metadata": {**object_["metadata"], "namespace": "other"}}, JSON),
        ("POST", collection, {**whole, "metadata": {}}, JSON),
        ("POST", collection, {**other, "metadata": {**other["metadata"], "name": "Bad_Name"}}, JSON),
        ("POST", collection, {**other, "metadata": {**other["metadata"], "name": "x" * 254}}, JSON),
        ("POST", collection, {**other, "metadata": {**other["metadata"], "uid": "x", "resourceVersion": "5"}}, JSON),
        ("POST", collection, {**other, "metadata": {**other["metadata"], "resourceVersion": "x"}}, JSON),
        ("PUT", path, {**whole, "metadata": {**object_["metadata"], "resourceVersion": "1"}}, JSON),
        ("PUT", path, {**whole, "metadata": {**object_["metadata"], "uid": "x"}}, JSON),
        ("PUT", path, {**whole, "metadata": {**object_["metadata"], "resourceVersion": "x"}}, JSON),
        ("PUT", path, {**whole, "metadata": {**object_["metadata"], "resourceVersion": "@rv@", "uid": "@uid@"}}, JSON),
        *(("POST", collection, body, content) for content in (JSON, "application/yaml") for body in (b"", b"null", b"[]", b"{", b"{}", b"x", b'{"a":1}x', b'{"kind":1}')),
        ("POST", collection, whole, "text/plain"), ("POST", collection, whole, ""),
        ("POST", collection, whole, "application/json; charset=utf-8"),
        ("GET", kind.path("UPPER", seed.namespace), None, JSON), ("GET", kind.path("nothing", seed.namespace), None, JSON),
        ("GET", path + "/nothing", None, JSON), ("GET", path + "/status/x", None, JSON), ("PATCH", collection, {}, MERGE),
        ("DELETE", kind.path("nothing", seed.namespace), None, JSON),
    ]
    for method, at, body, content in cases:
        shown = body if isinstance(body, bytes) else "" if body is None else {name: body.get(name) for name in ("apiVersion", "kind", "metadata")}
        yield Case("unusual", kind, f"{method} {at} {content} {shown}"[:300], method, with_dry_run(at) if method != "GET" else at, body, content, seed=seed)
    for query in ("dryRun=x", "dryRun=", "dryRun=All&dryRun=All", "dryRun=all", "dryRun=All&fieldManager=" + "x" * 129, "dryRun=All&fieldManager=%01", "dryRun=All&noSuch=1"):
        yield Case("unusual", kind, f"create {query[:40]}", "POST", f"{collection}?{query}" if "dryRun=All" in query or "=x" in query else f"{kind.path(namespace='nowhere')}?{query}", other, seed=seed)
