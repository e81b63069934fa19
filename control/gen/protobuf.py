#!/usr/bin/env python3
"""Writes control/src/server/write/protobuf/messages.txt: the field numbers of the Kubernetes messages that clients send.

The numbers are facts of upstream's generated.proto files. They are read off the tags in the k8s-pb crate, the exact JSON
names off the k8s-openapi crate (both Apache-2.0). Usage: protobuf.py K8S_PB_DIR K8S_OPENAPI_DIR > messages.txt
"""
import os, re, sys

pb, openapi = sys.argv[1], sys.argv[2]
SERVED = """core/v1 apps/v1 authentication/v1 authorization/v1 autoscaling/v1 autoscaling/v2 batch/v1 certificates/v1
coordination/v1 discovery/v1 events/v1 networking/v1 node/v1 policy/v1 rbac/v1 scheduling/v1 storage/v1 flowcontrol/v1
admissionregistration/v1""".split()
# Fields that are pointers in Go, so that a zero in them means something. Everywhere else a zero is an absent field.
POINTERS = set("""deletionGracePeriodSeconds controller blockOwnerDeletion immutable optional defaultMode mode privileged
runAsUser runAsGroup runAsNonRoot readOnlyRootFilesystem allowPrivilegeEscalation fsGroup terminationGracePeriodSeconds
activeDeadlineSeconds automountServiceAccountToken shareProcessNamespace priority enableServiceLinks setHostnameAsFQDN
hostUsers tolerationSeconds allocateLoadBalancerNodePorts storageClassName expirationSeconds gracePeriodSeconds
orphanDependents minDomains started leaseDurationSeconds leaseTransitions replicas revisionHistoryLimit
progressDeadlineSeconds partition parallelism completions backoffLimit backoffLimitPerIndex maxFailedIndexes manualSelector
ttlSecondsAfterFinished suspend startingDeadlineSeconds successfulJobsHistoryLimit failedJobsHistoryLimit minReplicas ready
serving terminating allowVolumeExpansion attachRequired podInfoOnMount requiresRepublish storageCapacity hostProcess
stabilizationWindowSeconds averageUtilization""".split())
EMBEDDED = set("""LocalObjectReference RuleWithOperations Rule EphemeralContainerCommon PersistentVolumeSource ProbeHandler
VolumeSource IngressRuleValue""".split())
FILES = {f"api.{g.replace('/', '.')}": f"api/{g}/mod.rs" for g in SERVED}
FILES["apimachinery.pkg.apis.meta.v1"] = "apimachinery/pkg/apis/meta/v1/mod.rs"
FILES["apimachinery.pkg.api.resource"] = "apimachinery/pkg/api/resource/mod.rs"
FILES["apimachinery.pkg.util.intstr"] = "apimachinery/pkg/util/intstr/mod.rs"
FILES["apimachinery.pkg.runtime"] = "apimachinery/pkg/runtime/mod.rs"
SCALARS = {"string": "s", "bytes": "y", "bool": "b", "int32": "i", "int64": "i", "uint32": "i", "double": "d"}


def short(module):
    return {"apimachinery.pkg.apis.meta.v1": "meta.v1", "apimachinery.pkg.api.resource": "resource",
            "apimachinery.pkg.util.intstr": "intstr", "apimachinery.pkg.runtime": "runtime"}.get(module, module.removeprefix("api."))


def json_names(module, message):
    """JSON names by their lower-case form."""
    base = re.sub(r"(?<!^)(?=[A-Z])", "_", message).lower()
    folder = os.path.join(openapi, "src/v1_33", *module.split("."))
    want = re.sub("_", "", base)
    for name in os.listdir(folder) if os.path.isdir(folder) else []:
        if name.removesuffix(".rs").replace("_", "") == want:
            text = open(os.path.join(folder, name)).read()
            return {n.lower(): n for n in re.findall(r'^\s+"([A-Za-z$][A-Za-z0-9]*)" => Field::Key', text, re.M)} or \
                   {n.lower(): n for n in re.findall(r'^\s+"([A-Za-z$][A-Za-z0-9]*)": (?:\{|_?)', text, re.M)}
    return {}


def all_names():
    """JSON names of all types by their lower-case form, for messages that JSON knows only inlined."""
    names = {}
    for folder, _, files in os.walk(os.path.join(openapi, "src/v1_33")):
        for name in files:
            for n in re.findall(r'^\s+"([A-Za-z$][A-Za-z0-9]*)" => Field::Key', open(os.path.join(folder, name)).read(), re.M):
                names.setdefault(n.lower(), n)
    return names


def camel(name):
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)


def resolve(module, path):
    parts = module.split(".")
    for part in path.split("::"):
        if part == "super":
            parts.pop()
        else:
            parts.append(part)
    return short(".".join(parts[:-1])) + "." + parts[-1]


EVERYWHERE = all_names()
lines = []
for module, file in FILES.items():
    text = open(os.path.join(pb, "src", file)).read()
    for message, body in re.findall(r"^pub struct (\w+) \{\n(.*?)^\}", text, re.M | re.S):
        names, fields = json_names(module, message), []
        for tag, name, kind in re.findall(r"#\[prost\(([^)]*)\)\]\s+pub (?:r#)?(\w+):\s+(.*?),\n(?=    (?:///|#)|$)", body, re.S):
            number = re.search(r'tag = "(\d+)"', tag).group(1)
            lower = name.replace("_", "").lower()
            json = names.get(lower) or EVERYWHERE.get(lower, camel(name))
            inner = re.findall(r"((?:super::)*(?:\w+::)*[A-Z]\w*)(?=[,>]|$)", re.sub(r"\s|::core::option::|::prost::alloc::\w+::|collections::", "", kind))
            what = inner[-1] if inner else ""
            if tag.startswith("btree_map"):
                value = re.search(r'"string, (\w+)"', tag).group(1)
                code = "{" + (SCALARS.get(value) or resolve(module, what))
            else:
                scalar = SCALARS.get(re.match(r"(\w+)", tag).group(1))
                code = ("[" if "repeated" in tag else "") + (scalar or resolve(module, what))
            if names and lower not in names:
                if what not in EMBEDDED:
                    continue  # younger than the API version that is served
                json = ""  # embedded in Go: its fields are the parent's
            star = "*" if json in POINTERS and code in ("b", "i", "s") else ""
            fields.append(f"{number}:{json}:{code}{star}")
        lines.append(short(module) + "." + message + " " + " ".join(fields))
print("\n".join(sorted(lines)))
