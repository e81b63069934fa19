#!/usr/bin/env python3
"""Reads a running server's protobuf with Google's own decoder and upstream's .proto files, and compares it with its JSON.

Usage: peer.py DIR URL DESCRIPTORS GNOSTIC, where DIR and URL are those of `cargo run -p keelson-control --example serve`, and
the other two are made by protoc (`--include_imports --descriptor_set_out`) from all generated.proto files of k8s.io/api and
k8s.io/apimachinery (Debian: `apt-get source golang-k8s-api golang-k8s-apimachinery`), and from gnostic's OpenAPIv2.proto
(`golang-github-google-gnostic-models`). Needs Debian's python3-protobuf. Changes the server's state.
"""
import base64, datetime, json, re, ssl, struct, sys, urllib.request
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

folder, url, descriptors, gnostic = sys.argv[1:5]
PB = "application/vnd.kubernetes.protobuf"
# Structs that Go embeds: fields of their parent in JSON.
EMBEDDED = {"handler", "volumeSource", "ephemeralContainerCommon", "persistentVolumeSource", "localObjectReference", "rule",
            "ruleWithOperations", "ingressRuleValue"}


def pool_of(path):
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(open(path, "rb").read()).file:
        pool.Add(file)
    return pool


POOL = pool_of(descriptors)
FACTORY = message_factory.MessageFactory(POOL)
UNKNOWN = set()


def new(name):
    return FACTORY.GetPrototype(POOL.FindMessageTypeByName(name))()


def request(path, method="GET", accept="application/json", body=None, media=PB):
    context = ssl.create_default_context(cafile=f"{folder}/pki/ca.crt")
    context.load_cert_chain(f"{folder}/pki/admin.crt", f"{folder}/pki/admin.key")
    ask = urllib.request.Request(url + path, method=method, data=body, headers={"Accept": accept, "Content-Type": media})
    with urllib.request.urlopen(ask, context=context) as answer:
        return answer.headers["content-type"], answer.read()


def value(message):
    """A message as JSON has it."""
    name = message.DESCRIPTOR.full_name.removeprefix("k8s.io.")
    kind = message.DESCRIPTOR.name
    for field in message.UnknownFields():
        UNKNOWN.add((name, field.field_number))
    if kind == "Quantity":
        return message.string
    if kind == "IntOrString":
        return message.strVal if message.type else message.intVal
    if kind in ("Time", "MicroTime"):
        if not message.HasField("seconds"):
            return None
        at = datetime.datetime.fromtimestamp(message.seconds, datetime.timezone.utc)
        return at.strftime("%Y-%m-%dT%H:%M:%S") + (".%06dZ" % (message.nanos // 1000) if kind == "MicroTime" else "Z")
    if kind in ("RawExtension", "JSON", "FieldsV1"):
        return json.loads((message.raw if kind != "FieldsV1" else message.Raw) or "null")
    if kind in ("Verbs", "ExtraValue"):
        return list(message.items)
    if kind.startswith("JSONSchemaPropsOr"):
        if message.HasField("schema"):
            return value(message.schema)
        if kind.endswith("Bool"):
            return message.allows
        return list(message.property) if kind.endswith("StringArray") else [value(one) for one in message.jSONSchemas]
    out = {}
    fields = message.ListFields()
    if kind == "JSONSchemaProps":
        return {schema_name(name): found for name, found in plain(fields).items()}
    return plain(fields)


def schema_name(name):
    if name in ("ref", "schema"):
        return "$" + name
    return re.sub("[A-Z]", lambda c: "-" + c[0].lower(), name) if name.startswith("xKubernetes") else name


def plain(fields):
    out = {}
    for field, found in fields:
        if field.message_type and field.message_type.GetOptions().map_entry:
            inner = field.message_type.fields_by_name["value"]
            one = (lambda v: value(v)) if inner.message_type else (lambda v: base64.b64encode(v).decode() if isinstance(v, bytes) else v)
            out[field.name] = {key: one(found[key]) for key in found}
        elif field.message_type and field.label == field.LABEL_REPEATED:
            out[field.name] = [value(item) for item in found]
        elif field.message_type and field.name in EMBEDDED:
            out.update(value(found))
        elif field.message_type:
            out[field.name] = value(found)
        elif field.label == field.LABEL_REPEATED:
            out[field.name] = list(found)
        else:
            out[field.name] = base64.b64encode(found).decode() if isinstance(found, bytes) else found
    return out


def slim(found):
    if isinstance(found, dict):
        return {key: slim(v) for key, v in found.items() if slim(v) not in (None, "", 0, False, [], {})}
    return [slim(v) for v in found] if isinstance(found, list) else found


def message_of(version, kind):
    group, _, short = version.rpartition("/")
    group = group.split(".")[0] or "core"
    names = [f"api.{group}.{short}", "apimachinery.pkg.apis.meta.v1", f"apiextensions_apiserver.pkg.apis.{group}.{short}",
             f"kube_aggregator.pkg.apis.{group}.{short}", f"api.{group}.v1beta1"]
    for name in (f"k8s.io.{name}.{kind}" for name in names):
        try:
            return new(name)
        except KeyError:
            pass


def opened(body):
    assert body.startswith(b"k8s\0")
    around = new("k8s.io.apimachinery.pkg.runtime.Unknown")
    around.ParseFromString(body[4:])
    inner = message_of(around.typeMeta.apiVersion, around.typeMeta.kind)
    if inner is not None:
        inner.ParseFromString(around.raw)
    return around.typeMeta, inner


def wrapped(version, kind, inner):
    around = new("k8s.io.apimachinery.pkg.runtime.Unknown")
    around.typeMeta.apiVersion, around.typeMeta.kind, around.raw = version, kind, inner.SerializeToString()
    return b"k8s\0" + around.SerializeToString()


def compare(path):
    media, body = request(path, accept=PB)
    assert media == PB, media
    meta, inner = opened(body)
    if inner is None:
        return f"no descriptor: {meta.apiVersion} {meta.kind}"
    want = json.loads(request(path)[1])
    assert (meta.apiVersion, meta.kind) == (want.pop("apiVersion", "v1"), want.pop("kind")), path
    for item in want.get("items", []):
        item.pop("apiVersion", None), item.pop("kind", None)
    assert slim(value(inner)) == slim(want), f"{path}\n{slim(value(inner))}\n{slim(want)}"


# A rich pod, encoded by Google's library.
pod = message_of("v1", "Pod")
pod.metadata.name, pod.spec.schedulerName = "peer", "nobody"
container = pod.spec.containers.add(name="c", image="i")
container.resources.limits["cpu"].string = "250m"
container.livenessProbe.handler.httpGet.port.intVal = 80
container.livenessProbe.handler.httpGet.path = "/"
pod.spec.volumes.add(name="v").volumeSource.emptyDir.SetInParent()
pod.spec.terminationGracePeriodSeconds = 0
media, body = request("/api/v1/namespaces/default/pods", "POST", PB, wrapped("v1", "Pod", pod))
made = opened(body)[1]
assert made.spec.containers[0].resources.limits["cpu"].string == "250m" and made.spec.HasField("terminationGracePeriodSeconds")
assert made.spec.volumes[0].volumeSource.HasField("emptyDir") and made.spec.containers[0].livenessProbe.handler.httpGet.port.intVal == 80

# A definition with all that a schema can be.
schema = {"type": "object", "$ref": "x", "default": {"a": [1, None]}, "maximum": 1.5, "minLength": 0, "enum": ["a", 1], "items": {"type": "string"},
          "additionalProperties": True, "additionalItems": {"type": "string"}, "x-kubernetes-preserve-unknown-fields": True,
          "x-kubernetes-list-map-keys": ["k"], "properties": {"a": {"items": {"type": "integer"}, "additionalProperties": False}},
          "dependencies": {"a": ["b"], "c": {"type": "object"}}}
definition = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "peers.example.com"},
              "spec": {"group": "example.com", "scope": "Namespaced", "names": {"plural": "peers", "kind": "Peer"}, "versions": [
                  {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}]}}
request("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", "POST", body=json.dumps(definition).encode(), media="application/json")

documents = lists = objects = 0
paths = ["/api", "/apis", "/api/v1"] + [f"/apis/{v['groupVersion']}" for g in json.loads(request("/apis")[1])["groups"] for v in g["versions"]]
for path in paths:
    compare(path)
    documents += 1
    for resource in json.loads(request(path)[1]).get("resources", []):
        if "list" in resource["verbs"] and "/" not in resource["name"] and resource["name"] not in ("events", "leases"):
            said = compare(f"{path}/{resource['name']}")
            lists += 1
            objects += len(json.loads(request(f"{path}/{resource['name']}")[1])["items"])
            if said:
                print(path, resource["name"], said)

media, body = request("/api/v1/namespaces/default/pods?watch=1&timeoutSeconds=1", accept=PB)
assert media == PB + ";stream=watch", media
events = []
while body:
    length = struct.unpack(">I", body[:4])[0]
    event = new("k8s.io.apimachinery.pkg.apis.meta.v1.WatchEvent")
    event.ParseFromString(body[4:4 + length])
    events.append((event.type, opened(event.object.raw)[1].metadata.name))
    body = body[4 + length:]
assert ("ADDED", "peer") in events, events

pool = pool_of(gnostic)
document = message_factory.MessageFactory(pool).GetPrototype(pool.FindMessageTypeByName("openapi.v2.Document"))()
media, body = request("/openapi/v2", accept="application/com.github.proto-openapi.spec.v2@v1.0+protobuf")
document.ParseFromString(body)
text = json.loads(request("/openapi/v2")[1])
unknown = []


def walk(message):
    unknown.extend((message.DESCRIPTOR.full_name, f.field_number) for f in message.UnknownFields())
    for field, found in message.ListFields():
        if field.message_type:
            for one in found if field.label == field.LABEL_REPEATED else [found]:
                walk(one)


walk(document)
assert not unknown, unknown[:5]
assert {p.name for p in document.paths.path} == set(text["paths"])
assert {d.name for d in document.definitions.additional_properties} == set(text["definitions"])
for definition in document.definitions.additional_properties:
    want = text["definitions"][definition.name]
    assert {p.name for p in definition.value.properties.additional_properties} == set(want.get("properties", {}))
    assert list(definition.value.required) == want.get("required", [])
    assert {e.name for e in definition.value.vendor_extension} == {k for k in want if k.startswith("x-")}
for path in document.paths.path:
    for method in ("get", "put", "post", "delete", "patch"):
        want = text["paths"][path.name].get(method)
        assert path.value.HasField(method) == bool(want)
        if want:
            found = getattr(path.value, method)
            assert found.operation_id == want["operationId"]
            assert len(found.parameters) == len(want.get("parameters", []))
            assert list(found.consumes) == want.get("consumes", [])
print(f"{documents} documents, {lists} lists with {objects} objects, {len(events)} events agree; OpenAPI v2: {len(body)} bytes,",
      f"{len(document.paths.path)} paths, {len(document.definitions.additional_properties)} definitions; unknown to the decoder: {sorted(UNKNOWN)}")
