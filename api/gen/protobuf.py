#!/usr/bin/env python3
"""Writes api/schema/v1_33.protobuf: field numbers and types of the Kubernetes messages that we serve.

They are facts of upstream's API. Read off three places, which are checked against each other:
- our own v1_33.types: which kinds there are, and which fields they have in 1.33;
- the crate k8s-pb: numbers and types of all fields (`cargo download`, or ~/.cargo/registry/cache);
- the Go types of k8s.io/api and k8s.io/apimachinery, for what only Go knows: pointers, embedded structs, omitempty
  (Debian: `apt-get source golang-k8s-api golang-k8s-apimachinery` with trixie's deb-src; 1.32 is there).

Usage: protobuf.py K8S_PB_DIR API_DIR APIMACHINERY_DIR > ../schema/v1_33.protobuf
`api/src/protobuf/table.rs` tells the format.
"""
import os, re, sys

PB, API, MACHINERY = sys.argv[1:4]
HERE = os.path.dirname(os.path.abspath(__file__))
# Messages that answers and requests need beside the kinds of v1_33.types.
ROOTS = """meta.v1.APIVersions meta.v1.APIGroup meta.v1.APIGroupList meta.v1.APIResourceList meta.v1.DeleteOptions
meta.v1.ListMeta meta.v1.PartialObjectMetadata meta.v1.Status
apidiscovery.v2.APIGroupDiscoveryList apidiscovery.v2beta1.APIGroupDiscoveryList""".split()
# Pointers among the fields that the Go types at hand do not have: fields since 1.33, apiextensions, apiregistration.
POINTERS = """ServiceReference.path ServiceReference.port WebhookClientConfig.url
CustomResourceSubresourceScale.labelSelectorPath CustomResourceDefinitionVersion.deprecationWarning
JSONSchemaProps.maximum JSONSchemaProps.minimum JSONSchemaProps.maxLength JSONSchemaProps.minLength
JSONSchemaProps.maxItems JSONSchemaProps.minItems JSONSchemaProps.multipleOf JSONSchemaProps.maxProperties
JSONSchemaProps.minProperties JSONSchemaProps.x-kubernetes-preserve-unknown-fields JSONSchemaProps.x-kubernetes-list-type
JSONSchemaProps.x-kubernetes-map-type ValidationRule.reason ValidationRule.optionalOldSelf
Lifecycle.stopSignal ContainerStatus.stopSignal NodeSwapStatus.capacity PersistentVolumeClaimSpec.volumeAttributesClassName
CSIDriverSpec.nodeAllocatableUpdatePeriodSeconds VolumeError.errorCode
ReplicaSetStatus.terminatingReplicas DeploymentStatus.terminatingReplicas""".split()
SPECIAL = {"meta.v1.time": "t", "meta.v1.microtime": "m", "resource.quantity": "q", "intstr.intorstring": "o",
           "runtime.rawextension": "r", "meta.v1.fieldsv1": "r", "apiextensions.v1.json": "r", "meta.v1.verbs": "l",
           "authentication.v1.extravalue": "l", "authorization.v1.extravalue": "l", "certificates.v1.extravalue": "l",
           "apiextensions.v1.jsonschemapropsorarray": "A", "apiextensions.v1.jsonschemapropsorbool": "B",
           "apiextensions.v1.jsonschemapropsorstringarray": "S"}
SCALARS = {"string": "s", "bytes": "y", "bool": "b", "int32": "i", "int64": "i", "uint32": "i", "double": "d"}
PREFIXES = {"io.k8s.api.": "", "io.k8s.apimachinery.pkg.apis.": "", "io.k8s.apimachinery.pkg.api.": "",
            "io.k8s.apimachinery.pkg.util.": "", "io.k8s.apimachinery.pkg.": "",
            "io.k8s.apiextensions-apiserver.pkg.apis.": "", "io.k8s.kube-aggregator.pkg.apis.": ""}
SKIPPED = []


def plain(name):
    return re.sub("[^a-z0-9]", "", name.lower())


def short(name):
    for prefix in PREFIXES:
        if name.startswith(prefix):
            return name.removeprefix(prefix)
    return name


def read_types():
    """Definitions of v1_33.types: name -> (is it a kind?, {field: is it required?})."""
    found, fields = {}, {}
    for line in open(os.path.join(HERE, "../schema/v1_33.types")):
        if line.startswith("#"):
            continue
        if line.startswith(" "):
            name = line.split()[0]
            fields[name.rstrip("!")] = name.endswith("!")
        else:
            words, fields = line.split(), {}
            found[short(words[0])] = ("@" in line, fields)
    return found


def read_pb():
    """Messages of k8s-pb: lower-case name -> {number: (plain name, type)}."""
    found = {}
    for folder, _, files in os.walk(os.path.join(PB, "src")):
        if "mod.rs" not in files:
            continue
        parts = os.path.relpath(folder, os.path.join(PB, "src")).split("/")
        path = [part for part in parts if part not in ("apiextensions_apiserver", "kube_aggregator", "apimachinery")]
        module = ".".join(part for part in path if part not in ("pkg", "apis", "api", "util"))
        text = open(os.path.join(folder, "mod.rs")).read()
        for message, body in re.findall(r"^pub struct (\w+) \{(\}|\n.*?^\})", text, re.M | re.S):
            fields = {}
            for tag, name, kind in re.findall(r"#\[prost\(([^)]*)\)\]\s+pub (?:r#)?(\w+):\s+(.*?),\n(?=    (?:///|#)|\})", body, re.S):
                number = int(re.search(r'tag = "(\d+)"', tag).group(1))
                kind = re.sub(r"\s|::core::option::|::prost::alloc::\w+::|collections::", "", kind)
                inner = re.findall(r"((?:super::)*(?:\w+::)*[A-Z]\w*)(?=[,>]|$)", kind)
                what = resolve(parts, inner[-1]) if inner else ""
                if tag.startswith("btree_map"):
                    key, value = re.search(r'"(\w+), (\w+)"', tag).groups()
                    assert key == "string"
                    code = "{" + (SCALARS.get(value) or what)
                else:
                    code = ("[" if "repeated" in tag else "") + (SCALARS.get(re.match(r"(\w+)", tag).group(1)) or what)
                fields[number] = (plain(name), code)
            found[f"{module}.{message}".lower()] = fields
    return found


def resolve(parts, path):
    parts = list(parts)
    for part in path.split("::"):
        if part == "super":
            parts.pop()
        else:
            parts.append(part)
    dropped = ("apiextensions_apiserver", "kube_aggregator", "apimachinery", "pkg", "apis", "api", "util")
    return ".".join(part for part in parts if part not in dropped).lower()


def read_go():
    """Structs of the Go types: name -> {number: (JSON name or '' if embedded, pointer?, omitempty?, plain protobuf name)}."""
    found = {}
    roots = [(API, lambda folder: folder.replace("/", "."))]
    roots.append((os.path.join(MACHINERY, "pkg/apis"), lambda folder: folder.replace("/", ".")))
    roots.append((os.path.join(MACHINERY, "pkg"), lambda folder: folder.replace("/", ".")))
    for root, module_of in roots:
        for folder, _, files in os.walk(root):
            module = module_of(os.path.relpath(folder, root))
            for file in files:
                if not file.endswith(".go") or file.startswith(("generated", "zz_")):
                    continue
                text = open(os.path.join(folder, file)).read()
                for struct, body in re.findall(r"^type (\w+) struct \{\n(.*?)^\}", text, re.M | re.S):
                    fields = {}
                    for line in body.split("\n"):
                        tags = re.match(r'\s+(?:(\w+)\s+)?([*\w.\[\]]+)\s+`.*?json:"([^"]*)".*?protobuf:"(?:\w+),(\d+)(?:,(?:opt|rep|req|casttype=\w+))*(?:,name=([\w-]+))?', line)
                        if not tags:
                            continue
                        _, kind, json, number, name = tags.groups()
                        json, *options = json.split(",")
                        fields[int(number)] = (json, kind.startswith("*"), "omitempty" in options, plain(name or json))
                    if fields:
                        found[f"{module}.{struct}"] = fields
    return found


types, pb, go = read_types(), read_pb(), read_go()
canonical = {name.lower(): name for name in [*types, *go]}
lines, todo = {}, ROOTS + [name for name, (kind, _) in types.items() if kind]
while todo:
    message = todo.pop()
    if message in lines:
        continue
    numbers, known, written = pb[message.lower()], go.get(message, {}), types.get(message, (False, {}))[1]
    by_plain, fields = {plain(name): name for name in written}, []
    for number, (name, code) in sorted(numbers.items()):
        json, pointer, omit, other = known.get(number, (None, False, True, name))
        assert other in (name, ""), (message, number, other, name)
        if json is None and name in by_plain:
            json, omit = by_plain[name], not written[by_plain[name]]
            pointer = f"{message.split('.')[-1]}.{json}" in POINTERS
            SKIPPED.append(f"younger or not in Go: {message}.{json} {code} pointer={pointer} omitempty={omit}")
        if json is None or (json and written and json not in written):
            SKIPPED.append(f"not in 1.33: {message}.{json or name} {code}")
            continue
        prefix, bare = (code[0], code[1:]) if code[0] in "[{" else ("", code)
        if bare in SPECIAL:
            bare = SPECIAL[bare]
        elif "." in bare:
            bare = canonical[bare]
            todo.append(bare)
        flag = ""
        if bare in "sbid" and not prefix:
            flag = "*" if pointer else "" if omit else "!"
        fields.append(f"{number}:{json}:{prefix}{bare}{flag}")
    lines[message] = " ".join([message, *fields])
for message in [*lines]:
    # Lists all look alike.
    if ":metadata:meta.v1.ObjectMeta" in lines[message] and f"{message}list".lower() in pb:
        found = pb[f"{message}list".lower()]
        assert found == {1: ("metadata", "meta.v1.listmeta"), 2: ("items", f"[{message}".lower())}, (message, found)
        lines[message + "List"] = f"{message}List 1:metadata:meta.v1.ListMeta 2:items:[{message}"
print("# Messages of Kubernetes 1.33, written by api/gen/protobuf.py. Format: api/src/protobuf/table.rs.")
print("\n".join(lines[name] for name in sorted(lines)))
print("\n".join(SKIPPED), file=sys.stderr)
