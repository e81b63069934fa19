"""The two servers: upstream's kube-apiserver and ours, each on an etcd of its own, on loopback and in one directory.

They end with this process, whatever ends it, and by their process ids when the comparison is over.
"""

import base64
import http.client
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time

TOKEN = "comparison"
RANGE = "10.43.0.0/16"
START_SECONDS = 90
# As long as the longest run: whoever holds the Lease of a controller keeps ours from starting theirs.
LEASE_SECONDS = 86400


class Client:
    """One connection that stays open; a request is (method, path, body, content type, accept)."""

    def __init__(self, port, context, headers):
        self.headers = headers
        self.http = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=60)

    def send(self, method, path, body=None, content="application/json", accept="application/json"):
        """The status code and the parsed body (text where it is no JSON)."""
        headers = {"Accept": accept, **self.headers}
        if body is not None:
            headers["Content-Type"] = content
            body = body if isinstance(body, bytes) else json.dumps(body, separators=(",", ":")).encode()
        for last in (False, True):
            try:
                self.http.request(method, path, body, headers)
                answer = self.http.getresponse()
                text = answer.read()
                break
            except (http.client.HTTPException, OSError):
                # A server may close a connection that it holds to be spent; twice is an answer.
                self.http.close()
                if last:
                    return 0, {"message": "the connection was closed"}
        try:
            return answer.status, json.loads(text)
        except ValueError:
            return answer.status, text.decode(errors="replace")


class Servers:
    """Both, as a context: `upstream` and `ours` are clients with every right."""

    def __init__(self, apiserver, serve):
        self.programs = (os.path.abspath(apiserver), os.path.abspath(serve))
        self.processes = []

    def __enter__(self):
        self.dir = tempfile.mkdtemp(prefix="keelson-compare-")
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for impatience in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(impatience, signal.SIG_IGN)
        # The servers before what they store in.
        for process in reversed(self.processes):
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)

    def _start(self):
        apiserver, serve = self.programs
        ports = free_ports(6)
        stores = [self._etcd(name, *ports[2 * i : 2 * i + 2]) for i, name in enumerate(("theirs", "mine"))]
        self._run("ours", [serve, f"{self.dir}/cluster", str(ports[4]), stores[1]], SERVICE_CIDR=RANGE)
        pki = f"{self.dir}/cluster/pki"
        self._until("ours", lambda: os.path.exists(f"{self.dir}/cluster/admin.kubeconfig"))
        with open(f"{self.dir}/tokens.csv", "w") as tokens:
            tokens.write(f"{TOKEN},comparison,comparison,system:masters\n")
        self._run("upstream", [apiserver, f"--etcd-servers={stores[0]}", f"--secure-port={ports[5]}",
            f"--cert-dir={self.dir}/upstream", f"--token-auth-file={self.dir}/tokens.csv",
            f"--service-account-signing-key-file={pki}/sa.key", f"--service-account-key-file={pki}/sa.pub",
            "--bind-address=127.0.0.1", "--insecure-port=0", "--authorization-mode=RBAC",
            f"--service-cluster-ip-range={RANGE}", "--service-account-issuer=https://kubernetes.default.svc",
            # Pods get a volume with a token, as in later versions; else they would have to wait for a Secret.
            "--feature-gates=BoundServiceAccountTokenVolume=true", "--allow-privileged=true",
            "--max-requests-inflight=0", "--max-mutating-requests-inflight=0"])
        context = ssl.create_default_context(cafile=f"{pki}/ca.crt")
        certificate, key = credentials(f"{self.dir}/cluster/admin.kubeconfig", self.dir)
        context.load_cert_chain(certificate, key)
        self.ours = Client(ports[4], context, {})
        stranger = ssl._create_unverified_context()
        self.upstream = Client(ports[5], stranger, {"Authorization": f"Bearer {TOKEN}"})
        for name, client in (("ours", self.ours), ("upstream", self.upstream)):
            self._until(name, lambda: client.send("GET", "/readyz")[0] == 200)
        self._without_controllers()

    def _etcd(self, name, client, peer):
        urls = [f"http://127.0.0.1:{port}" for port in (client, peer)]
        # Nothing has to survive this run, so nothing waits for a disk.
        self._run(f"etcd-{name}", ["etcd", "--data-dir", f"{self.dir}/{name}", "--listen-client-urls", urls[0], "--unsafe-no-fsync",
            "--advertise-client-urls", urls[0], "--listen-peer-urls", urls[1],
            "--initial-advertise-peer-urls", urls[1], "--initial-cluster", f"default={urls[1]}"])
        return urls[0]

    def _run(self, name, command, **environment):
        # In a session of its own: Ctrl-C is for the comparison, which ends its servers in order.
        with open(f"{self.dir}/{name}.log", "w") as log:
            self.processes.append(subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *command], stdout=log, stderr=log,
                stdin=subprocess.DEVNULL, env={**os.environ, **environment}, start_new_session=True))
        self.processes[-1].name = name

    def died(self):
        """The name of a program that has ended before it was told to, and the end of what it said."""
        for process in self.processes:
            if process.poll() is not None:
                with open(f"{self.dir}/{process.name}.log", errors="replace") as log:
                    text = log.read()
                # Go tells of all its threads after the reason.
                at = max(0, text.find("fatal error"), text.rfind("\npanic:"))
                return f"{process.name} ended; it said:\n{text[at:][:1500]}"
        return None

    def _until(self, name, holds):
        end = time.monotonic() + START_SECONDS
        process = next(process for process in self.processes if process.name == name)
        while not holds():
            if process.poll() is not None or time.monotonic() > end:
                with open(f"{self.dir}/{name}.log", errors="replace") as log:
                    raise SystemExit(f"{name} does not serve; it said:\n{log.read()[-3000:]}")
            time.sleep(0.2)

    def _without_controllers(self):
        """Takes the Leases from our controllers: upstream's server has none beside it either."""
        for name in ("kube-controller-manager", "kube-scheduler"):
            path = f"/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/{name}"
            spec = {"holderIdentity": "comparison", "leaseDurationSeconds": LEASE_SECONDS}
            self._until("ours", lambda: self.ours.send("PATCH", path, {"spec": spec}, "application/merge-patch+json")[0] == 200)
        # They look at it every two seconds, and what they have begun comes to its end.
        time.sleep(4)


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def credentials(kubeconfig, directory):
    """The certificate and key of a kubeconfig, as files (ssl reads nothing else)."""
    with open(kubeconfig) as file:
        text = file.read()
    paths = []
    for name in ("client-certificate-data", "client-key-data"):
        data = re.search(name + r'"?: *"?([A-Za-z0-9+/=]+)', text).group(1)
        paths.append(f"{directory}/{name}")
        with open(os.open(paths[-1], os.O_WRONLY | os.O_CREAT, 0o600), "wb") as file:
            file.write(base64.b64decode(data))
    return paths
