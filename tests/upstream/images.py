"""The images of upstream's tests, as OCI archives: images.py DIR (see build).

Made from Debian's packages and the programs of the tree, because no registry is needed then; what is served, run and
printed is what the tests expect of the originals. The list of names is DIR/images/names.
"""

import gzip
import hashlib
import io
import json
import subprocess
import sys
import tarfile
from pathlib import Path

DIR = Path(sys.argv[1])
OUT = DIR / "images"
TREE = DIR / "go/src/k8s.io/kubernetes/test/images"
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PAGE = b"<html><body><h1>It works!</h1></body></html>\n"


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def debian():
    """The layer below most images."""
    exclude = ["./var/cache/apt/*", "./var/lib/apt/lists/*", "./usr/share/doc/*", "./usr/share/locale/*", "./dev/*"]
    command = ["tar", "-C", DIR / "rootfs", "--numeric-owner", "-c", *[f"--exclude={one}" for one in exclude], "."]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout


def layer(*entries):
    """Entries are (name, content, mode): bytes or a path for a file, None for a directory, "-> target" for a link."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content, mode in entries:
            info = tarfile.TarInfo(name)
            info.mode = mode
            if content is None:
                info.type = tarfile.DIRTYPE
                archive.addfile(info)
            elif isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content.removeprefix("-> ")
                archive.addfile(info)
            else:
                data = content if isinstance(content, bytes) else content.read_bytes()
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def archive(name, layers, **config):
    """Writes NAME.tar (OCI image layout)."""
    blobs = {}

    def blob(kind, data):
        blobs[sha256(data)] = data
        return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": f"sha256:{sha256(data)}", "size": len(data)}

    config = {"architecture": "amd64", "os": "linux", "config": {"Env": [PATH], **config},
              "rootfs": {"type": "layers", "diff_ids": [f"sha256:{sha256(one)}" for one in layers]}}
    manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "config": blob("config.v1+json", json.dumps(config).encode()),
                "layers": [blob("layer.v1.tar+gzip", gzip.compress(one, 1, mtime=0)) for one in layers]}
    index = {"schemaVersion": 2, "manifests": [blob("manifest.v1+json", json.dumps(manifest).encode())]}
    files = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}', "index.json": json.dumps(index).encode()}
    files |= {f"blobs/sha256/{digest}": data for digest, data in blobs.items()}
    with tarfile.open(OUT / f"{name}.tar", "w") as out:
        for path, data in files.items():
            info = tarfile.TarInfo(path)
            info.size = len(data)
            out.addfile(info, io.BytesIO(data))


def main():
    OUT.mkdir(exist_ok=True)
    base = debian()
    porter = TREE / "agnhost/porter"
    agnhost = layer(("agnhost", DIR / "bin/agnhost", 0o755), ("agnhost-2", "-> agnhost", 0o777), ("uploads", None, 0o755),
                    ("localhost.crt", porter / "localhost.crt", 0o644), ("localhost.key", porter / "localhost.key", 0o644))
    archive("agnhost", [base, agnhost], Entrypoint=["/agnhost"], Cmd=["pause"])
    archive("pause", [agnhost], Entrypoint=["/agnhost"], Cmd=["pause"])
    archive("debian", [base], Cmd=["/bin/bash"])
    archive("nonroot", [base], Cmd=["/bin/bash"], User="1234")
    archive("nonewprivs", [base, layer(("usr/local/bin/nnp", DIR / "bin/nonewprivs", 0o6755))], Cmd=["nnp"])
    # A shell between the container and the server, which as the first process would not end on SIGTERM.
    serve = "trap 'exit 0' TERM; busybox httpd -f -p 80 -h /usr/local/apache2/htdocs & wait"
    web = layer(("bin/busybox", Path("/bin/busybox"), 0o755), ("usr/local/apache2", None, 0o755),
                ("usr/local/apache2/htdocs", None, 0o755), ("usr/local/apache2/htdocs/index.html", PAGE, 0o644))
    archive("httpd", [base, web], Cmd=["/bin/sh", "-c", serve], WorkingDir="/usr/local/apache2")
    for name in ["nautilus", "kitten"]:
        html = TREE / name / "html"
        files = layer(*[(file, html / file, 0o644) for file in ["data.json", f"{name}.jpg"]])
        archive(name, [base, agnhost, files], Entrypoint=["/agnhost"], Cmd=["test-webserver"])
    old, hub = "gcr.io/kubernetes-e2e-test-images", "docker.io/library"
    names = {"agnhost": ["k8s.gcr.io/e2e-test-images/agnhost:2.21"], "pause": ["k8s.gcr.io/pause:3.2"],
             "debian": [f"{old}/jessie-dnsutils:1.0", f"{old}/ipc-utils:1.0", f"{hub}/perl:5.26"],
             "nonroot": [f"{old}/nonroot:1.0"], "nonewprivs": [f"{old}/nonewprivs:1.0"],
             "httpd": [f"{hub}/httpd:2.4.{n}-alpine" for n in (38, 39)] + [f"{hub}/nginx:1.{n}-alpine" for n in (14, 15)],
             "nautilus": [f"{old}/nautilus:1.0"], "kitten": [f"{old}/kitten:1.0"]}
    lines = [f"{archive} {name}\n" for archive, all_names in names.items() for name in all_names]
    (OUT / "names").write_text("".join(lines))


main()
