# The machines' first process (tests/machines), behind each kernel's modules. Sourced by `build`.

make_init() {
    triple=$(rustc -vV | sed -n 's/^host: //p')
    # With --target, build scripts stay dynamic.
    (cd "$here/../.." && RUSTFLAGS="-C target-feature=+crt-static -C relocation-model=static" \
        cargo build --quiet --locked --release --target-dir "$cache/../rootfs" --target "$triple" \
        -p keelson-machines --bin machine-init --bin pack-init >&2) || fail "cannot build machine-init"
    programs=$cache/../rootfs/$triple/release
    for kernel in "$cache"/kernel-*; do
        [ -e "$kernel/release" ] || continue
        [ "$kernel/initrd" -nt "$programs/machine-init" ] && [ "$kernel/initrd" -nt "$kernel/modules.cpio" ] && continue
        { cat "$kernel/modules.cpio" && "$programs/pack-init" "$programs/machine-init"; } >"$kernel/initrd.new"
        mv "$kernel/initrd.new" "$kernel/initrd"
    done
}
