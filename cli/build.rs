//! Links `heap.c` into the binary.
//!
//! The symbol must be an object of its own on the linker's command line: jemalloc has a weak one of that name, and of an
//! archive the linker takes only what is missing. (In Rust it would be unsafe code: an attribute that replaces a symbol.)

fn main() {
    println!("cargo:rerun-if-changed=heap.c");
    for object in cc::Build::new().file("heap.c").compile_intermediates() {
        println!("cargo:rustc-link-arg-bins={}", object.display());
    }
}
