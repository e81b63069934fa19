//! The OCI command line: what `keelson runtime` becomes, and a runtime by path for callers that want one (`podman
//! --runtime`, containerd's `BinaryName`). See `keelson_runtime::oci`.

#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

fn main() {
    std::process::exit(keelson_runtime::oci_main(std::env::args_os().skip(1)));
}
