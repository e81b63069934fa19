"""The typed client: create, read, list with selectors and pages, replace, patch, delete, and how each is refused."""

from kubernetes import client

from session import NAMESPACE, config_map, core, refused

# Create, read back in types, and what is refused.
made = core.create_namespaced_config_map(NAMESPACE, config_map("a", {"k": "1"}, {"app": "a"}), field_manager="tester")
assert made.metadata.uid and made.metadata.resource_version and made.metadata.creation_timestamp.tzinfo, made
assert made.metadata.managed_fields[0].manager == "tester", made.metadata.managed_fields
assert core.read_namespaced_config_map("a", NAMESPACE) == made
status = refused(409, "AlreadyExists", core.create_namespaced_config_map, NAMESPACE, config_map("a"))
assert status["details"] == {"name": "a", "kind": "configmaps"}, status
status = refused(404, "NotFound", core.read_namespaced_config_map, "nothing", NAMESPACE)
assert status["message"] == 'configmaps "nothing" not found', status
status = refused(422, "Invalid", core.create_namespaced_config_map, NAMESPACE, config_map("Not A Name"))
assert status["details"]["causes"][0]["field"] == "metadata.name", status
generated = client.V1ConfigMap(metadata=client.V1ObjectMeta(generate_name="made-"))
assert core.create_namespaced_config_map(NAMESPACE, generated).metadata.name.startswith("made-")

# Dry run stores nothing; strict field validation refuses what it does not know, and warns in a header otherwise.
tried = core.create_namespaced_config_map(NAMESPACE, config_map("dry"), dry_run="All")
assert tried.metadata.uid
refused(404, "NotFound", core.read_namespaced_config_map, "dry", NAMESPACE)
unknown = {"metadata": {"name": "unknown"}, "data": {}, "nonsense": 1}
status = refused(400, "BadRequest", core.create_namespaced_config_map, NAMESPACE, unknown, field_validation="Strict")
assert 'unknown field "nonsense"' in status["message"], status
_, code, headers = core.create_namespaced_config_map_with_http_info(NAMESPACE, unknown, field_validation="Warn")
assert code == 201 and headers["Warning"] == '299 - "unknown field \\"nonsense\\""', headers

# Pages of one snapshot: what is written meanwhile is not in them.
for number in range(25):
    core.create_namespaced_config_map(NAMESPACE, config_map(f"page-{number:02}", labels={"paged": "yes"}))
page = core.list_namespaced_config_map(NAMESPACE, label_selector="paged=yes", limit=10)
snapshot, names = page.metadata.resource_version, [item.metadata.name for item in page.items]
core.create_namespaced_config_map(NAMESPACE, config_map("page-00a", labels={"paged": "yes"}))
core.create_namespaced_config_map(NAMESPACE, config_map("page-99", labels={"paged": "yes"}))
pages = 1
while page.metadata._continue:
    page = core.list_namespaced_config_map(
        NAMESPACE, label_selector="paged=yes", limit=10, _continue=page.metadata._continue
    )
    assert page.metadata.resource_version == snapshot, page.metadata
    names += [item.metadata.name for item in page.items]
    pages += 1
assert pages == 3 and names == [f"page-{number:02}" for number in range(25)], (pages, names)
unpaged = core.list_namespaced_config_map(NAMESPACE, limit=1)
assert unpaged.metadata.remaining_item_count > 25, unpaged.metadata
status = refused(400, "BadRequest", core.list_namespaced_config_map, NAMESPACE, limit=1, _continue="nonsense")
assert "continue key is not valid" in status["message"], status


# Selectors.
def found(**selectors):
    return [item.metadata.name for item in core.list_namespaced_config_map(NAMESPACE, **selectors).items]


assert found(field_selector="metadata.name=a") == ["a"]
assert found(label_selector="app in (a,b),!paged") == ["a"]
assert found(label_selector="paged notin (no)", field_selector="metadata.name=page-03") == ["page-03"]
assert "a" not in found(label_selector="app!=a")
status = refused(400, "BadRequest", core.list_namespaced_config_map, NAMESPACE, field_selector="data.k=1")
assert '"data.k" is not a known field selector' in status["message"], status
refused(400, "BadRequest", core.list_namespaced_config_map, NAMESPACE, label_selector="a in")

# A second writer with an old version conflicts.
stale, fresh = core.read_namespaced_config_map("a", NAMESPACE), core.read_namespaced_config_map("a", NAMESPACE)
fresh.data["k"] = "2"
replaced = core.replace_namespaced_config_map("a", NAMESPACE, fresh)
assert replaced.data == {"k": "2"} and replaced.metadata.uid == made.metadata.uid
stale.data["k"] = "3"
status = refused(409, "Conflict", core.replace_namespaced_config_map, "a", NAMESPACE, stale)
assert "the object has been modified" in status["message"], status

# The four kinds of patch: a dict is sent as strategic merge, a list as JSON patch; the others by content type.
merged = core.patch_namespaced_config_map("a", NAMESPACE, {"data": {"m": "1", "k": None}})
assert merged.data == {"m": "1"}, merged.data
listed = core.patch_namespaced_config_map(
    "a", NAMESPACE, [{"op": "test", "path": "/data/m", "value": "1"}, {"op": "add", "path": "/data/n", "value": "2"}]
)
assert listed.data == {"m": "1", "n": "2"}, listed.data
refused(422, "Invalid", core.patch_namespaced_config_map, "a", NAMESPACE,
        [{"op": "test", "path": "/data/m", "value": "other"}])
api = core.api_client


def patch(name, kind, body, **query):
    return api.call_api(
        f"/api/v1/namespaces/{NAMESPACE}/configmaps/{name}", "PATCH", query_params=list(query.items()), body=body,
        header_params={"Content-Type": f"application/{kind}", "Accept": "application/json"},
        response_type="V1ConfigMap", auth_settings=["BearerToken"], _return_http_data_only=True,
    )


assert patch("a", "merge-patch+json", {"data": {"n": None}}).data == {"m": "1"}
applied = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"m": "applied"}}
status = refused(409, "Conflict", patch, "a", "apply-patch+yaml", applied, fieldManager="applier")
assert status["details"]["causes"][0]["reason"] == "FieldManagerConflict", status
forced = patch("a", "apply-patch+yaml", applied, fieldManager="applier", force="true")
assert forced.data == {"m": "applied"}
owner = [entry for entry in forced.metadata.managed_fields if entry.manager == "applier"]
assert owner[0].operation == "Apply" and "f:data" in owner[0].fields_v1, owner

# Lists of a strategic merge are merged by key.
service = client.V1Service(
    metadata=client.V1ObjectMeta(name="s"),
    spec=client.V1ServiceSpec(selector={"a": "b"}, ports=[client.V1ServicePort(name="one", port=80)]),
)
service = core.create_namespaced_service(NAMESPACE, service)
assert service.spec.ports[0].target_port == 80 and service.spec.ports[0].protocol == "TCP", service.spec.ports
more = core.patch_namespaced_service("s", NAMESPACE, {"spec": {"ports": [{"name": "two", "port": 81}]}})
assert sorted(port.name for port in more.spec.ports) == ["one", "two"], more.spec.ports

# Bytes of a Secret, quantities as text.
secret = client.V1Secret(metadata=client.V1ObjectMeta(name="s"), string_data={"k": "väl"})
assert core.create_namespaced_secret(NAMESPACE, secret).data == {"k": "dsOkbA=="}
quota = client.V1ResourceQuota(
    metadata=client.V1ObjectMeta(name="q"), spec=client.V1ResourceQuotaSpec(hard={"cpu": "1500m", "memory": "1024Mi"})
)
assert core.create_namespaced_resource_quota(NAMESPACE, quota).spec.hard == {"cpu": "1500m", "memory": "1Gi"}
core.delete_namespaced_resource_quota("q", NAMESPACE)

# Deletion: preconditions, the answer, and a collection.
wrong = client.V1DeleteOptions(preconditions=client.V1Preconditions(uid="someone-else"))
refused(409, "Conflict", core.delete_namespaced_config_map, "a", NAMESPACE, body=wrong)
gone = core.delete_namespaced_config_map("a", NAMESPACE, propagation_policy="Background")
assert gone.status == "Success" and gone.details.uid == made.metadata.uid, gone
core.delete_collection_namespaced_config_map(NAMESPACE, label_selector="paged=yes")
assert found(label_selector="paged=yes") == []
held = core.create_namespaced_config_map(
    NAMESPACE, client.V1ConfigMap(metadata=client.V1ObjectMeta(name="held", finalizers=["example.com/hold"]))
)
core.delete_namespaced_config_map("held", NAMESPACE)
held = core.read_namespaced_config_map("held", NAMESPACE)
assert held.metadata.deletion_timestamp, held.metadata
core.patch_namespaced_config_map("held", NAMESPACE, {"metadata": {"finalizers": None}})
refused(404, "NotFound", core.read_namespaced_config_map, "held", NAMESPACE)
