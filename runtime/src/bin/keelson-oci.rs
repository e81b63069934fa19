//! The OCI command line as a program of its own, for callers that want a runtime by path (`podman --runtime`,
//! containerd's `BinaryName`), and for the tests: the same as `keelson runtime`.

fn main() {
    std::process::exit(keelson_runtime::oci_main(std::env::args_os().skip(1)));
}
