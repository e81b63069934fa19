# Keelson's commands. `make run` and `make test` are all that a newcomer needs; see README.md.

TARGET := $(or $(CARGO_TARGET_DIR),target)
KEELSON := $(TARGET)/release/keelson
DATA_DIR ?= /var/lib/keelson
CLIPPY ?= cargo clippy --workspace --all-targets --locked -- -D warnings

.PHONY: build images run test unit unit-etcd e2e clients test-vm conformance conformance-kubectl conformance-compare soak lint bench bench-runtime clean

# The release binary at $(TARGET)/release/keelson. (Never by the compiler with clippy in it that .ci/run sets for the rest.)
build:
	env -u RUSTC_WORKSPACE_WRAPPER cargo build --release --locked -p keelson-cli

# OCI archives for the tour and the tests, from Debian's busybox-static and our echo server.
images:
	env -u RUSTC_WORKSPACE_WRAPPER rootfs/build

# A whole cluster on this machine, in the foreground; Ctrl-C ends it.
run: build images
	$(KEELSON) image import rootfs/out/busybox.tar --tag busybox:1.36 --data-dir $(DATA_DIR)
	$(KEELSON) image import rootfs/out/echoserver.tar --tag k8s.gcr.io/echoserver:1.4 --data-dir $(DATA_DIR)
	$(KEELSON) up --data-dir $(DATA_DIR)

# Everything that can be checked on this machine. Needs root: containers and networks are made for real.
test: lint unit unit-etcd e2e

lint:
	cargo fmt --all --check
	$(CLIPPY)

# Unit, property, hostile-input and component tests. nextest where it is installed (a process per test), else cargo test.
unit:
	if cargo nextest --version >/dev/null 2>&1; \
	then cargo nextest run --workspace --locked --no-fail-fast -E 'not package(keelson-tests)'; \
	else cargo test --workspace --exclude keelson-tests --locked --no-fail-fast; fi

# On a real etcd: the linearizability checks, with servers and members of etcd killed, and the API server's component tests
# once more (most of their time etcd waits for the disk, so more of them at once than there are cores).
unit-etcd:
	if ! command -v etcd >/dev/null && [ -z "$$KEELSON_TEST_PEERS" ]; \
	then echo "SKIPPED: the API's tests on etcd: there is no etcd (Debian: apt-get install etcd-server etcd-client)"; \
	elif cargo nextest --version >/dev/null 2>&1; \
	then cargo nextest run --workspace --locked --no-fail-fast --run-ignored only -E 'binary(linearizable)' && \
		KEELSON_TEST_STORE=etcd cargo nextest run --workspace --locked --no-fail-fast --test-threads 6 -E 'binary(api)'; \
	else cargo test --workspace --locked --no-fail-fast --test linearizable -- --ignored && \
		KEELSON_TEST_STORE=etcd cargo test --workspace --locked --no-fail-fast --test api; fi

# Whole-system tests: a private cluster, driven by the real kubectl. (Chosen by target in the whole workspace: chosen by
# package, cargo would build every dependency again with other features.)
e2e: build images
	KEELSON_BIN=$(abspath $(KEELSON)) cargo test --workspace --locked --no-fail-fast --test e2e --test layers --test clients -- --nocapture

# Of those, what drives a private cluster with the client libraries of Python, JavaScript and Rust.
clients: build images
	KEELSON_BIN=$(abspath $(KEELSON)) cargo test --workspace --locked --no-fail-fast --test clients -- --nocapture

# What this machine cannot show, inside QEMU machines with Debian's kernels 6.1 and 6.12: cgroup v2 limits, power loss, a
# cut link. Makes the machines' images first. One test: make test-vm TESTS=6.1::limits
test-vm: build images
	KEELSON_TEST_VM=1 KEELSON_BIN=$(abspath $(KEELSON)) cargo test --workspace --locked \
	    --test groups -- $(TESTS)

# Upstream's own conformance suite, of Kubernetes 1.20 because that is what Debian has the source of, against a private
# cluster. Builds it first (6 GB, a quarter of an hour), then takes half an hour. Some of it: make conformance FOCUS=sig-cli
conformance: build images
	tests/upstream/build $(TARGET)/upstream
	tests/upstream/run $(KEELSON) $(TARGET)/upstream $(if $(FOCUS),"$(FOCUS)")

# Upstream's integration scripts of kubectl, from the same tree, against a control plane without nodes and with the kubectl on
# PATH. Some of them: make conformance-kubectl FUNCTIONS=run_rs_tests
conformance-kubectl:
	cargo build --workspace --locked --example serve
	tests/upstream/build $(TARGET)/upstream
	tests/upstream/kubectl $(TARGET)/debug/examples/serve $(TARGET)/upstream $(FUNCTIONS)

# Our API server beside upstream's kube-apiserver, from the same tree, on Debian's etcd: each request to both, what differs to
# a file. Some of it: make conformance-compare ONLY=Pod,Service COUNT=100
conformance-compare:
	cargo build --workspace --locked --example serve
	tests/upstream/build $(TARGET)/upstream
	tests/upstream/compare $(TARGET)/debug/examples/serve $(TARGET)/upstream $(if $(ONLY),--only $(ONLY)) $(if $(COUNT),--count $(COUNT))

# What takes too long for every day: 20,000 containers that exit at once, and a minute for each attack that is a race.
soak:
	KEELSON_TEST_CONTAINERS=20000 cargo test --workspace --locked --test oci -- many:: --nocapture
	KEELSON_ATTACK_SECONDS=60 cargo test --workspace --locked --no-fail-fast --test attacks

# Figures for docs/SPECIFICATION.md, with the machine they were taken on; beside those of upstream's kube-apiserver on etcd
# where it has been built (`tests/upstream/build $(TARGET)/upstream`, or make conformance).
bench: build images bench-runtime
	KEELSON_BENCH_UPSTREAM=$(wildcard $(abspath $(TARGET))/upstream/bin/kube-apiserver) \
		KEELSON_BIN=$(abspath $(KEELSON)) cargo run --release --locked -p keelson-tests --bin bench

# What a container costs, beside the bare system calls, the newest crun that runs here, and runc.
bench-runtime: build
	runtime/benches/oci/fetch-crun $(TARGET)/crun || echo "no newer crun could be fetched"
	KEELSON_BIN=$(abspath $(KEELSON)) KEELSON_BENCH_CRUN=$(abspath $(TARGET)/crun) \
		cargo bench --locked -p keelson-runtime --bench oci

clean:
	rm -rf rootfs/out
	cargo clean
