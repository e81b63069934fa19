"""What every program here starts with: the administrator's client, its namespace, and a few ways of demanding things."""

import json
import os
import time

from kubernetes import client, config

config.load_kube_config()
NAMESPACE = os.environ["NAMESPACE"]
core = client.CoreV1Api()


def refused(code, reason, call, *args, **kwargs):
    """Calls, demands this refusal, and returns the decoded Status."""
    try:
        call(*args, **kwargs)
    except client.ApiException as error:
        status = json.loads(error.body)
        assert status["kind"] == "Status" and status["apiVersion"] == "v1", status
        assert (error.status, status["code"], status["reason"]) == (code, code, reason), status
        return status
    raise AssertionError(f"{call.__name__} should have been refused with {code} {reason}")


def until(what, check, limit=60):
    """Looks again and again, as a script does that has no watch; returns the first true value."""
    deadline = time.monotonic() + limit
    while True:
        value = check()
        if value:
            return value
        assert time.monotonic() < deadline, f"not within {limit} s: {what}"
        time.sleep(0.2)


def root_certificates():
    """Waits for the ConfigMap that every namespace gets by itself, so that it does not come in between."""

    def there():
        return [m for m in core.list_namespaced_config_map(NAMESPACE).items if m.metadata.name == "kube-root-ca.crt"]

    until("kube-root-ca.crt", there, limit=10)


def config_map(name, data=None, labels=None):
    """A ConfigMap in the client's own types."""
    metadata = client.V1ObjectMeta(name=name, labels=labels)
    return client.V1ConfigMap(metadata=metadata, data=data or {})


def pod(name, command, **spec):
    """A pod of one busybox container that ends at once when told to."""
    container = client.V1Container(name="c", image="busybox:1.36", command=command, stdin=spec.pop("stdin", None))
    return client.V1Pod(
        metadata=client.V1ObjectMeta(name=name, labels={"app": name}),
        spec=client.V1PodSpec(containers=[container], termination_grace_period_seconds=0, **spec),
    )


def running(name):
    """Waits until a pod is Ready; returns it."""

    def ready():
        found = core.read_namespaced_pod(name, NAMESPACE)
        conditions = found.status.conditions or []
        return found if any(c.type == "Ready" and c.status == "True" for c in conditions) else None

    return until(f"pod {name} ready", ready)
