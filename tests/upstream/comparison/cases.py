"""The requests: each is sent to both servers, word for word but for what each has made up itself (`@uid@`, `@rv@`)."""

import copy
import json
import random

from mutate import generated, mutations

JSON = "application/json"
MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"
# Whose metadata stands for that of all: the code is the same.
METADATA_OF = ("ConfigMap", "Namespace", "Node")
# Of what is sampled: this share of mutations inside of pod templates (Pods have them all) and of labels and annotations.
SHARE = 0.06


class Case:
    """A request: of which class, about which kind, what is special about it."""

    def __init__(self, family, kind, what, method, path, body=None, content=JSON, accept=JSON, seed=None):
        self.family, self.kind, self.what = family, kind, what
        self.method, self.path, self.body, self.content, self.accept = method, path, body, content, accept
        self.seed = seed


def with_dry_run(path, more=""):
    return f"{path}?dryRun=All{more}"


def thinned(seed, all_, rng):
    """Mutations without most of those whose code other kinds share, and without status."""
    for one in all_:
        path = [key for key in one.path if isinstance(key, str)]
        shared = "template" in path or path[0] == "metadata" and path[1:2] != ["name"]
        if path[0] in ("apiVersion", "kind", "status"):
            if seed.kind.kind in METADATA_OF and path[0] != "status":
                yield one
        elif not shared or seed.kind.kind in METADATA_OF or rng.random() < SHARE:
            yield one


def bounded(all_, count, rng):
    all_ = list(all_)
    if len(all_) <= count:
        return all_
    return [all_[i] for i in sorted(rng.sample(range(len(all_)), count))]


def creates(seed, count, rng):
    kind = seed.kind
    path = with_dry_run(kind.path()) if kind.verbs != ["create"] else kind.path()
    yield Case("create", kind, "the seed", "POST", path, seed.object)
    changes = list(thinned(seed, mutations(seed.object, kind.type), rng))
    for one in bounded(changes, count, rng):
        yield Case("create", kind, f"{one.where}: {one.label} {text(one)}", "POST", path, one.of(seed.object))
    # Two at once: what one hides, and whether both are told.
    for _ in range(count // 8):
        first, second = rng.choice(changes), rng.choice(changes)
        try:
            body = second.of(first.of(seed.object))
        except (KeyError, IndexError, TypeError):
            continue
        what = f"{first.where}: {first.label} {text(first)}, {second.where}: {second.label} {text(second)}"
        yield Case("create", kind, what, "POST", path, body)


def updates(seed, live, count, rng):
    """Of the created object, as it came back."""
    kind = seed.kind
    base = updatable(live, kind)
    path = with_dry_run(seed.path())
    yield Case("update", kind, "the same", "PUT", path, base, seed=seed)
    for one in bounded(thinned(seed, mutations(base, kind.type), rng), count, rng):
        yield Case("update", kind, f"{one.where}: {one.label} {text(one)}", "PUT", path, one.of(base), seed=seed)


def statuses(seed, live, count, rng):
    kind = seed.kind
    if "status" not in kind.subresources or "status" not in kind.type.fields:
        return
    base = {**updatable(live, kind), "status": generated(kind.type.field("status"), 4)}
    path = with_dry_run(seed.path("status"))
    inside = (one for one in mutations(base, kind.type, lambda path: path[0:1] not in ((), ("status",))) if one.path[0] == "status")
    for one in bounded(inside, count, rng):
        yield Case("status", kind, f"{one.where}: {one.label} {text(one)}", "PUT", path, one.of(base), seed=seed)


def patches(seed, live, count, rng):
    """The same changes in four other forms."""
    kind = seed.kind
    base = updatable(live, kind)
    changes = list(thinned(seed, mutations(base, kind.type), rng))
    for i, one in enumerate(bounded(changes, count, rng)):
        what = f"{one.where}: {one.label} {text(one)}"
        form = (json_patch, merge_patch, strategic_patch, apply_patch)[i % 4]
        made = form(one, base, kind)
        if made is not None:
            content, body = made
            query = "&fieldManager=comparison&force=true" if content == APPLY else ""
            yield Case("patch " + content.split("/")[1].split("-")[0], kind, what, "PATCH", with_dry_run(seed.path(), query), body, content, seed=seed)


def json_patch(one, base, _):
    pointer = "".join("/" + str(key).replace("~", "~0").replace("/", "~1") for key in one.path)
    if one.removed:
        return JSON_PATCH, [{"op": "remove", "path": pointer}]
    return JSON_PATCH, [{"op": "add" if one.label.startswith("add") else "replace", "path": pointer, "value": one.value}]


def merge_patch(one, base, _):
    """Lists are whole in it; null in one is nothing to 1.20's library."""
    if one.label == "null item" or one.label == "null" and any(isinstance(key, int) for key in one.path):
        return None
    path, value = one.path, None if one.removed else one.value
    for i, key in enumerate(path):
        if isinstance(key, int):
            at = one.of(base)
            for step in path[:i]:
                at = at[step]
            path, value = path[:i], at
            break
    return MERGE, nested(path, value)


def strategic_patch(one, base, kind):
    """Items are named by their merge keys, where they have such."""
    value, at, type_ = None if one.removed else one.value, base, kind.type
    steps = []
    for key in one.path:
        steps.append((key, at, type_))
        at, type_ = (at[key] if not isinstance(at, dict) or key in at else None), type_.step(key)
    for key, at, type_ in reversed(steps):
        if isinstance(key, int):
            merge_key = type_.merge_key()
            if not merge_key:
                item = copy.deepcopy(at)
                item[key] = value
                value = item
            elif isinstance(value, dict):
                value = [{merge_key: at[key].get(merge_key), **value}]
            else:
                value = [value]
        else:
            value = {key: value}
    return STRATEGIC, value


def apply_patch(one, base, kind):
    body = one.of(base)
    if not isinstance(body.get("metadata"), dict):
        return None
    return APPLY, {"apiVersion": kind.version, "kind": kind.kind, **body}


def nested(path, value):
    for key in reversed(path):
        value = {key: value}
    return value


def updatable(live, kind):
    """A created object, without what a server has made up."""
    base = kind.type.common(live)
    base["metadata"] = {key: one for key, one in live["metadata"].items() if key in ("name", "namespace", "labels", "annotations", "generateName")}
    base["metadata"]["resourceVersion"] = "@rv@"
    base.pop("status", None)
    return base


def text(mutation):
    shown = "" if mutation.removed else json.dumps(mutation.value)
    return shown if len(shown) < 60 else shown[:57] + "..."


def generator(seed, *names):
    return random.Random("/".join((str(seed), *names)))
