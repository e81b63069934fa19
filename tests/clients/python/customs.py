"""A CustomResourceDefinition and its objects: the definition in types, the objects dynamically and as plain dictionaries."""

import threading

from kubernetes import client, dynamic, watch
from kubernetes.dynamic.exceptions import UnprocessibleEntityError

from session import NAMESPACE, refused, until

GROUP = f"{NAMESPACE}.example.com"
extensions = client.ApiextensionsV1Api()
properties = {
    "spec": client.V1JSONSchemaProps(
        type="object", required=["size"],
        properties={
            "size": client.V1JSONSchemaProps(type="integer", minimum=1, maximum=9),
            "color": client.V1JSONSchemaProps(type="string", default="red", enum=["red", "blue"]),
            "ports": client.V1JSONSchemaProps(
                type="array", x_kubernetes_list_type="map", x_kubernetes_list_map_keys=["name"],
                items=client.V1JSONSchemaProps(
                    type="object", required=["name"],
                    properties={"name": client.V1JSONSchemaProps(type="string"), "port": client.V1JSONSchemaProps(type="integer")},
                ),
            ),
        },
    ),
    "status": client.V1JSONSchemaProps(type="object", x_kubernetes_preserve_unknown_fields=True),
}
version = client.V1CustomResourceDefinitionVersion(
    name="v1", served=True, storage=True,
    schema=client.V1CustomResourceValidation(open_apiv3_schema=client.V1JSONSchemaProps(type="object", properties=properties)),
    subresources=client.V1CustomResourceSubresources(
        status={}, scale=client.V1CustomResourceSubresourceScale(
            spec_replicas_path=".spec.size", status_replicas_path=".status.size"),
    ),
    additional_printer_columns=[client.V1CustomResourceColumnDefinition(name="Size", type="integer", json_path=".spec.size")],
)
definition = client.V1CustomResourceDefinition(
    metadata=client.V1ObjectMeta(name=f"widgets.{GROUP}"),
    spec=client.V1CustomResourceDefinitionSpec(
        group=GROUP, scope="Namespaced", versions=[version],
        names=client.V1CustomResourceDefinitionNames(plural="widgets", singular="widget", kind="Widget", short_names=["wd"]),
    ),
)
extensions.create_custom_resource_definition(definition)


def established():
    found = extensions.read_custom_resource_definition(f"widgets.{GROUP}")
    return any(c.type == "Established" and c.status == "True" for c in found.status.conditions or [])


until("established", established, limit=10)

# Dictionaries: defaulted, validated, pruned, patched, with status and scale.
objects = client.CustomObjectsApi()
where = (GROUP, "v1", NAMESPACE, "widgets")


def widget(name, **spec):
    return {"apiVersion": f"{GROUP}/v1", "kind": "Widget", "metadata": {"name": name}, "spec": spec}


made = objects.create_namespaced_custom_object(*where, widget("a", size=1, nonsense=True))
assert made["spec"] == {"size": 1, "color": "red"}, made["spec"]
status = refused(422, "Invalid", objects.create_namespaced_custom_object, *where, widget("b", size=99))
assert status["details"]["causes"][0]["field"] == "spec.size", status
made["spec"]["size"] = 2
assert objects.replace_namespaced_custom_object(*where, "a", made)["metadata"]["generation"] == 2
patched = objects.patch_namespaced_custom_object(*where, "a", {"spec": {"color": "blue"}})
assert patched["spec"] == {"size": 2, "color": "blue"}, patched["spec"]
patched = objects.patch_namespaced_custom_object(*where, "a", {"spec": {"size": 3}})
assert patched["spec"]["size"] == 3
stated = objects.patch_namespaced_custom_object_status(*where, "a", {"status": {"size": 3}, "spec": {"size": 9}})
assert stated["status"] == {"size": 3} and stated["spec"]["size"] == 3 and stated["metadata"]["generation"] == 4, stated
scale = objects.get_namespaced_custom_object_scale(*where, "a")
assert scale["kind"] == "Scale" and (scale["spec"]["replicas"], scale["status"]["replicas"]) == (3, 3), scale
objects.patch_namespaced_custom_object_scale(*where, "a", {"spec": {"replicas": 5}})
assert objects.get_namespaced_custom_object(*where, "a")["spec"]["size"] == 5
listed = objects.list_cluster_custom_object(GROUP, "v1", "widgets")
assert listed["kind"] == "WidgetList" and [item["metadata"]["name"] for item in listed["items"]] == ["a"], listed

# Dynamically, with the same watch and apply as built-in kinds.
api = dynamic.DynamicClient(client.ApiClient())
widgets = api.resources.get(api_version=f"{GROUP}/v1", kind="Widget")
assert widgets.short_names == ["wd"] and widgets.namespaced
first = widget("c", size=1, ports=[{"name": "x", "port": 1}])
widgets.server_side_apply(body=first, namespace=NAMESPACE, field_manager="first")
second = widget("c", size=1, ports=[{"name": "y", "port": 2}])
both = widgets.server_side_apply(body=second, namespace=NAMESPACE, field_manager="second")
assert [port["name"] for port in both.to_dict()["spec"]["ports"]] == ["x", "y"], both
patched = widgets.patch(
    name="c",
    body=[{"op": "test", "path": "/spec/ports/1/port", "value": 2}, {"op": "add", "path": "/spec/ports/1/port", "value": 3}],
    namespace=NAMESPACE, content_type="application/json-patch+json",
)
assert patched.spec.ports[1].port == 3
one = widget("c", size=1)
less = widgets.server_side_apply(body=one, namespace=NAMESPACE, field_manager="first")
assert [port["name"] for port in less.to_dict()["spec"]["ports"]] == ["y"], less
try:
    widgets.create(body=widget("d", size="many"), namespace=NAMESPACE)
    raise AssertionError("a text as a number")
except UnprocessibleEntityError as error:
    assert "spec.size" in error.summary(), error.summary()
seen = []
opened = threading.Event()


def follow():
    watcher = watch.Watch()
    for event in watcher.stream(objects.list_namespaced_custom_object, *where, timeout_seconds=20):
        seen.append((event["type"], event["object"]["metadata"]["name"]))
        opened.set()
        if event["type"] == "DELETED":
            watcher.stop()


thread = threading.Thread(target=follow)
thread.start()
assert opened.wait(10)
widgets.delete(name="c", namespace=NAMESPACE)
thread.join(20)
assert not thread.is_alive() and seen == [("ADDED", "a"), ("ADDED", "c"), ("DELETED", "c")], seen

# The definition goes, and its objects with it.
extensions.delete_custom_resource_definition(f"widgets.{GROUP}")


def gone():
    try:
        extensions.read_custom_resource_definition(f"widgets.{GROUP}")
    except client.ApiException as error:
        return error.status == 404
    return False


until("the definition gone", gone, limit=20)
try:
    objects.list_cluster_custom_object(GROUP, "v1", "widgets")
    raise AssertionError("served without a definition")
except client.ApiException as error:
    assert error.status == 404, error
