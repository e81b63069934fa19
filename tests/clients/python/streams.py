"""The stream client: exec with input and exit code, a terminal, attach, bytes in bulk, and a forwarded port."""

import hashlib
import json
import os
import time

from kubernetes import client
from kubernetes.stream import portforward, stream
from kubernetes.stream.ws_client import ERROR_CHANNEL, RESIZE_CHANNEL

from session import NAMESPACE, core, pod, running

core.create_namespaced_pod(NAMESPACE, pod("box", ["sleep", "3600"]))
core.create_namespaced_pod(
    NAMESPACE, pod("reader", ["sh", "-c", 'while read line; do echo "got $line"; done'], stdin=True)
)
serve = "mkdir /www; echo hello from inside > /www/index.html; exec httpd -f -p 8080 -h /www"
core.create_namespaced_pod(NAMESPACE, pod("web", ["sh", "-c", serve]))
running("box")


def execute(command, name="box", **kwargs):
    options = {"stdin": False, "stdout": True, "stderr": True, "tty": False, **kwargs}
    return stream(core.connect_get_namespaced_pod_exec, name, NAMESPACE, command=command, **options)


# At once, by either method that upstream has.
assert execute(["sh", "-c", "echo out; echo err >&2"]).split() in (["out", "err"], ["err", "out"])
posted = stream(core.connect_post_namespaced_pod_exec, "box", NAMESPACE, command=["echo", "posted"], stdout=True,
                stdin=False, stderr=False, tty=False)
assert posted == "posted\n", posted

# Interactive: lines in, lines out, and how it ended.
shell = execute(["sh"], stdin=True, _preload_content=False)
shell.write_stdin("echo one; echo two >&2\n")
said = shell.readline_stdout(timeout=10), shell.readline_stderr(timeout=10)
assert said == ("one", "two"), said
shell.write_stdin("exit 42\n")
shell.run_forever(timeout=10)
assert not shell.is_open() and shell.returncode == 42, shell.returncode
good = execute(["true"], _preload_content=False)
good.run_forever(timeout=10)
assert good.returncode == 0
bad = execute(["no-such-program"], _preload_content=False)
bad.run_forever(timeout=10)
status = json.loads(bad.read_channel(ERROR_CHANNEL))
assert status["status"] == "Failure" and "no-such-program" in status["message"], status
try:
    execute(["true"], name="nobody")
    raise AssertionError("exec into a pod that is not there")
except client.ApiException as error:
    assert error.status in (0, 404) and "404" in str(error), error

# A terminal with a size of ours, changed on the way.
terminal = execute(["sh"], stdin=True, tty=True, _preload_content=False)
seen = ""
for height, width in [(31, 101), (41, 117)]:
    terminal.write_channel(RESIZE_CHANNEL, json.dumps({"Height": height, "Width": width}))
    deadline = time.monotonic() + 10
    while f"{height} {width}" not in seen:
        assert time.monotonic() < deadline, seen
        terminal.write_stdin("stty size\n")
        terminal.update(timeout=0.2)
        seen += terminal.read_stdout(timeout=0.2)
terminal.write_stdin("exit 3\n")
terminal.run_forever(timeout=10)
assert terminal.returncode == 3, terminal.returncode

# Bytes in bulk, both ways, unharmed.
data = os.urandom(3 << 20)
wanted = hashlib.sha256(data).hexdigest()
pipe = execute(["sh", "-c", f"head -c {len(data)} | tee /tmp/data | sha256sum"], stdin=True, binary=True, _preload_content=False)
for start in range(0, len(data), 65536):
    pipe.write_stdin(data[start:start + 65536])
pipe.run_forever(timeout=60)
assert pipe.read_all().split()[0].decode() == wanted
back = execute(["cat", "/tmp/data"], binary=True)
assert len(back) == len(data) and hashlib.sha256(back).hexdigest() == wanted, len(back)

# Attach: what we write is read by the container's own process, and its answers are in the log too.
running("reader")
attached = stream(core.connect_get_namespaced_pod_attach, "reader", NAMESPACE, stdin=True, stdout=True, stderr=True,
                  tty=False, _preload_content=False)
attached.write_stdin("a line\n")
assert attached.readline_stdout(timeout=10) == "got a line"
attached.close()
assert core.read_namespaced_pod_log("reader", NAMESPACE) == "got a line\n"

# A port of the pod as a socket of ours; twice, because the first connection must not use the pod up.
running("web")
for _ in range(2):
    forward = portforward(core.connect_get_namespaced_pod_portforward, "web", NAMESPACE, ports="8080")
    socket = forward.socket(8080)
    socket.setblocking(True)
    socket.settimeout(10)
    socket.sendall(b"GET /index.html HTTP/1.0\r\n\r\n")
    answer = b""
    while chunk := socket.recv(4096):
        answer += chunk
    assert b"200 OK" in answer and answer.endswith(b"hello from inside\n"), answer
    assert forward.error(8080) is None, forward.error(8080)
forward = portforward(core.connect_get_namespaced_pod_portforward, "web", NAMESPACE, ports="9")
socket = forward.socket(9)
socket.settimeout(10)
try:
    socket.sendall(b"anybody?")
    assert socket.recv(1) == b""
except (BrokenPipeError, ConnectionResetError):
    pass  # The library closes its end of the pair when it hears of it, perhaps before it has read ours.
deadline = time.monotonic() + 5
while not forward.error(9) and time.monotonic() < deadline:
    time.sleep(0.05)
assert "refused" in forward.error(9), forward.error(9)

# The same page through the API server's proxy.
assert core.connect_get_namespaced_pod_proxy_with_path("web:8080", NAMESPACE, "index.html") == "hello from inside\n"
