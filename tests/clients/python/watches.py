"""The watch client: events in types, selectors, bookmarks, resumption, expiry, and the log of a pod as a stream."""

import threading

from kubernetes import client, watch

from session import NAMESPACE, config_map, core, pod, root_certificates, running

root_certificates()


def collect(count, **kwargs):
    """The first events of a watch."""
    watcher, seen = watch.Watch(), []
    for event in watcher.stream(core.list_namespaced_config_map, NAMESPACE, timeout_seconds=20, **kwargs):
        seen.append(event)
        if len(seen) == count:
            watcher.stop()
    return seen


def names(events):
    return [(event["type"], event["raw_object"]["metadata"].get("name")) for event in events]


# From a list's version on: all that came later, in order, in types.
start = core.list_namespaced_config_map(NAMESPACE).metadata.resource_version
core.create_namespaced_config_map(NAMESPACE, config_map("a", labels={"app": "x"}))
core.patch_namespaced_config_map("a", NAMESPACE, {"data": {"k": "v"}})
core.create_namespaced_config_map(NAMESPACE, config_map("b"))
core.delete_namespaced_config_map("a", NAMESPACE)
events = collect(4, resource_version=start)
assert names(events) == [("ADDED", "a"), ("MODIFIED", "a"), ("ADDED", "b"), ("DELETED", "a")], names(events)
assert isinstance(events[1]["object"], client.V1ConfigMap) and events[1]["object"].data == {"k": "v"}
versions = [int(event["object"].metadata.resource_version) for event in events]
assert versions == sorted(set(versions)), versions
assert names(collect(2, resource_version=events[1]["object"].metadata.resource_version)) == names(events)[2:]

# A selector: objects enter and leave.
start = core.list_namespaced_config_map(NAMESPACE).metadata.resource_version
core.patch_namespaced_config_map("b", NAMESPACE, {"metadata": {"labels": {"app": "x"}}})
core.patch_namespaced_config_map("b", NAMESPACE, {"metadata": {"labels": {"app": "y"}}})
assert names(collect(2, resource_version=start, label_selector="app=x")) == [("ADDED", "b"), ("DELETED", "b")]

# Without a version: what there is, and then what comes, while the watch is open.
seen = []
opened = threading.Event()


def follow():
    watcher = watch.Watch()
    for event in watcher.stream(core.list_namespaced_config_map, NAMESPACE, field_selector="metadata.name=b", timeout_seconds=20):
        seen.append(event)
        opened.set()
        if event["type"] == "DELETED":
            watcher.stop()


thread = threading.Thread(target=follow)
thread.start()
assert opened.wait(10)
core.delete_namespaced_config_map("b", NAMESPACE)
thread.join(10)
assert not thread.is_alive() and names(seen) == [("ADDED", "b"), ("DELETED", "b")], names(seen)

# The list as events, closed by a bookmark that says so.
core.create_namespaced_config_map(NAMESPACE, config_map("c"))
kwargs = {"send_initial_events": True, "resource_version_match": "NotOlderThan", "allow_watch_bookmarks": True}
events = []
watcher = watch.Watch()
for event in watcher.stream(core.list_namespaced_config_map, NAMESPACE, timeout_seconds=20, **kwargs):
    events.append(event)
    if event["type"] == "BOOKMARK":
        watcher.stop()
assert ("ADDED", "c") in names(events)
assert events[-1]["raw_object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}, events[-1]

# A watch ends by itself when its time is over; a version from the future or from a past that is gone is refused.
assert list(watch.Watch().stream(core.list_namespaced_secret, NAMESPACE, timeout_seconds=1)) == []
try:
    list(watch.Watch().stream(core.list_namespaced_config_map, NAMESPACE, resource_version="1", timeout_seconds=2))
except client.ApiException as error:
    assert error.status == 410, error
try:
    list(watch.Watch().stream(core.list_namespaced_config_map, NAMESPACE, resource_version="nonsense", timeout_seconds=2))
    raise AssertionError("a version that is none")
except client.ApiException as error:
    assert error.status == 400, error

# A pod through its phases, and its log line by line until it ends.
script = "for i in 1 2 3; do echo line $i; sleep 0.3; done"
core.create_namespaced_pod(NAMESPACE, pod("talker", ["sh", "-c", script], restart_policy="Never"))
phases = []
watcher = watch.Watch()
for event in watcher.stream(core.list_namespaced_pod, NAMESPACE, field_selector="metadata.name=talker", timeout_seconds=60):
    phase = event["object"].status.phase
    if phase not in phases:
        phases.append(phase)
    if phase == "Succeeded":
        watcher.stop()
assert phases in (["Pending", "Running", "Succeeded"], ["Pending", "Succeeded"]), phases
core.create_namespaced_pod(NAMESPACE, pod("steady", ["sh", "-c", script + "; exec sleep 3600"]))
running("steady")
lines = []
watcher = watch.Watch()
for line in watcher.stream(core.read_namespaced_pod_log, "steady", NAMESPACE):
    lines.append(line)
    if len(lines) == 3:
        watcher.stop()
assert lines == ["line 1", "line 2", "line 3"], lines
lines = list(watch.Watch().stream(core.read_namespaced_pod_log, "talker", NAMESPACE))
assert lines == ["line 1", "line 2", "line 3"], lines
