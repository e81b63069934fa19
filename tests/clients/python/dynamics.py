"""The dynamic client: found by discovery, no types; all verbs, server-side apply, watch, subresources."""

from kubernetes import client, dynamic
from kubernetes.dynamic.exceptions import ConflictError, NotFoundError, ResourceNotFoundError

from session import NAMESPACE

api = dynamic.DynamicClient(client.ApiClient())
assert api.version["kubernetes"]["gitVersion"].startswith("v1.33"), api.version

# Discovery by kind, by name, by short name and by category.
maps = api.resources.get(api_version="v1", kind="ConfigMap")
assert api.resources.get(api_version="apps/v1", name="deployments").kind == "Deployment"
assert api.resources.get(short_names=["deploy"], group="apps").kind == "Deployment"
every = api.resources.search()
assert len({(r.group_version, r.kind) for r in every}) > 60, len(every)
assert api.resources.get(api_version="v1", kind="Pod").subresources["log"]
try:
    api.resources.get(api_version="v1", kind="Nonsense")
    raise AssertionError("a kind that is not there")
except ResourceNotFoundError:
    pass

# All verbs.
body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "labels": {"l": "1"}}, "data": {"k": "1"}}
made = maps.create(body=body, namespace=NAMESPACE)
assert made.metadata.uid and made.data.k == "1" and made.to_dict()["kind"] == "ConfigMap"
start = maps.get(namespace=NAMESPACE).metadata.resourceVersion
assert maps.get(name="a", namespace=NAMESPACE).metadata.uid == made.metadata.uid
assert [item.metadata.name for item in maps.get(namespace=NAMESPACE, label_selector="l=1").items] == ["a"]
body["data"]["k"] = "2"
assert maps.replace(body=body, namespace=NAMESPACE).data.k == "2"
body["metadata"]["resourceVersion"] = made.metadata.resourceVersion
try:
    maps.replace(body=body, namespace=NAMESPACE)
    raise AssertionError("an old version")
except ConflictError as error:
    assert "the object has been modified" in error.summary(), error.summary()
patched = maps.patch(body={"metadata": {"name": "a"}, "data": {"m": "3"}}, namespace=NAMESPACE)
assert patched.data.to_dict() == {"k": "2", "m": "3"}
patched = maps.patch(name="a", body=[{"op": "remove", "path": "/data/m"}], namespace=NAMESPACE,
                     content_type="application/json-patch+json")
assert patched.data.to_dict() == {"k": "2"}
patched = maps.patch(name="a", body={"data": {"n": "4"}}, namespace=NAMESPACE, content_type="application/merge-patch+json")
assert patched.data.n == "4"

# Server-side apply: shared ownership, conflict, force, and giving up a field.
applied = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "b"}, "data": {"one": "1", "two": "2"}}
maps.server_side_apply(body=applied, namespace=NAMESPACE, field_manager="first")
mine = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "b"}, "data": {"two": "other"}}
try:
    maps.server_side_apply(body=mine, namespace=NAMESPACE, field_manager="second")
    raise AssertionError("the first manager's field")
except ConflictError as error:
    assert 'conflict with "first": .data.two' in error.summary(), error.summary()
taken = maps.server_side_apply(body=mine, namespace=NAMESPACE, field_manager="second", force_conflicts=True)
assert taken.data.to_dict() == {"one": "1", "two": "other"}
assert {entry.manager for entry in taken.metadata.managedFields} == {"first", "second"}
del applied["data"]["one"], applied["data"]["two"]
left = maps.server_side_apply(body=applied, namespace=NAMESPACE, field_manager="first")
assert left.data.to_dict() == {"two": "other"}, left.data

# Watch, from where the list was.
types = []
for event in api.watch(maps, namespace=NAMESPACE, name="a", resource_version=start, timeout=3):
    types.append(event["type"])
    assert event["object"].kind == "ConfigMap"
    if len(types) == 4:
        break
assert types == ["MODIFIED"] * 4, types
maps.delete(name="a", namespace=NAMESPACE)
try:
    maps.get(name="a", namespace=NAMESPACE)
    raise AssertionError("deleted")
except NotFoundError as error:
    assert error.status == 404
maps.delete(namespace=NAMESPACE, field_selector="metadata.name=b")
assert "b" not in [item.metadata.name for item in maps.get(namespace=NAMESPACE).items]

# Subresources.
deployments = api.resources.get(api_version="apps/v1", kind="Deployment")
spec = {"replicas": 0, "selector": {"matchLabels": {"a": "b"}},
        "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "busybox:1.36"}]}}}
deployments.server_side_apply(
    body={"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": spec},
    namespace=NAMESPACE, field_manager="first",
)
scale = deployments.scale.get(name="d", namespace=NAMESPACE)
assert scale.kind == "Scale" and scale.spec.replicas in (0, None), scale
status = deployments.status.patch(
    body={"metadata": {"name": "d"}, "status": {"conditions": [
        {"type": "Tested", "status": "True", "reason": "R", "message": "m"}]}}, namespace=NAMESPACE)
assert any(condition.type == "Tested" for condition in status.status.conditions), status.status
