# The root filesystem of the test machines: Debian packages, unpacked and packed, read-only. Sourced by `build`.

# make_root SUITE makes $cache/root.erofs.
make_root() {
    key=$( (echo "$1"; cat "$here/packages.list" "$here/root.sh" "$here/in-systemd") | sha256sum | cut -c 1-16)
    [ "$(cat "$cache/root.key" 2>/dev/null)" != "$key" ] || [ -n "${KEELSON_VM_REFRESH:-}" ] || return 0
    echo "rootfs/vm: making the root filesystem ($1)" >&2
    tree=$cache/root.new
    rm -rf "$tree"
    packages=$(sed '/^#/d' "$here/packages.list" | tr -s ' \n' ',' | sed 's/,$//')
    # Only unpacked: maintainer scripts would take most of the time, and set up what a machine without services never uses.
    mmdebstrap --quiet --mode="$( [ "$(id -u)" = 0 ] && echo root || echo unshare)" --variant=extract \
        --include="$packages" --hook-dir=/usr/share/mmdebstrap/hooks/merged-usr \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' \
        "$1" "$tree" "deb [signed-by=$keyring] $mirror $1 main" "deb [signed-by=$keyring] $security $1-security main" >&2 ||
        fail "mmdebstrap could not make the root filesystem"
    rm -rf "$tree/var/cache/apt" "$tree/var/lib/apt" "$tree/usr/share/doc" "$tree/usr/share/man" "$tree/usr/share/locale"
    install -m 755 "$here/in-systemd" "$tree/usr/bin/in-systemd"
    printf 'root:x:0:0:root:/root:/bin/sh\nmessagebus:x:100:100::/nonexistent:/usr/sbin/nologin\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n' >"$tree/etc/passwd"
    printf 'root:x:0:\nmessagebus:x:100:\nnogroup:x:65534:\n' >"$tree/etc/group"
    printf '127.0.0.1 localhost\n' >"$tree/etc/hosts"
    # mmdebstrap copies the host's.
    : >"$tree/etc/resolv.conf"
    echo machine >"$tree/etc/hostname"
    [ -e "$tree/bin/sh" ] || ln -s dash "$tree/usr/bin/sh"
    cat "$tree"/usr/share/ca-certificates/mozilla/*.crt >"$tree/etc/ssl/certs/ca-certificates.crt"
    rm -f "$cache/root.erofs.new"
    mkfs.erofs --quiet -T 0 "$cache/root.erofs.new" "$tree" >&2 || fail "mkfs.erofs failed"
    rm -rf "$tree"
    mv "$cache/root.erofs.new" "$cache/root.erofs"
    echo "$key" >"$cache/root.key"
}
