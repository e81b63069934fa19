# A Debian cloud kernel as QEMU boots it fastest: the plain ELF image, and a cpio archive of the modules in load order.
# Sourced by `build`.

# number FILE OFFSET BYTES prints a little-endian number.
number() {
    od -An -v -t "u$3" -j "$2" -N "$3" "$1" | tr -d ' '
}

# extract_vmlinux BZIMAGE VMLINUX (Documentation/arch/x86/boot.rst: setup_sects, payload_offset, payload_length).
extract_vmlinux() {
    start=$((($(number "$1" 497 1) + 1) * 512 + $(number "$1" 584 4)))
    length=$(number "$1" 588 4)
    # The payload ends with its uncompressed size, which is not part of the stream.
    expected=$(number "$1" $((start + length - 4)) 4)
    tail -c "+$((start + 1))" "$1" | head -c $((length - 4)) >"$2.payload"
    case $(number "$2.payload" 0 4) in
    407642370) lz4 -dcq <"$2.payload" >"$2" ;;   # 0x184c2102, the legacy frame
    4247762216) zstd -dcq <"$2.payload" >"$2" ;; # 0xfd2fb528
    *) fail "unknown compression of $1" ;;
    esac
    rm "$2.payload"
    [ "$(stat -c %s "$2")" = "$expected" ] || fail "$1 did not unpack to $expected bytes"
}

# strip_signature MODULE drops an appended signature (kernel/module_signature.h): checking it takes long under emulation.
strip_signature() {
    [ "$(tail -c 28 "$1")" = '~Module signature appended~' ] || return 0
    size=$(stat -c %s "$1")
    length=$(od -An -v -t u1 -j $((size - 32)) -N 4 "$1" | awk '{ print (($1 * 256 + $2) * 256 + $3) * 256 + $4 }')
    truncate -s "-$((length + 40))" "$1"
}

# load_order MODULES_DIRECTORY NAME... prints module files in the order in which they can be loaded.
load_order() {
    directory=$1
    shift
    awk -v wanted="$*" -v builtin="$directory/modules.builtin" '
        function id(path) { sub(/.*\//, "", path); sub(/\.ko.*/, "", path); gsub(/-/, "_", path); return path }
        function visit(path,   parts, count, i) {
            if (path in seen) return
            seen[path] = 1
            count = split(needs[path], parts, " ")
            # modules.dep lists the nearest dependency first.
            for (i = count; i > 0; i--) visit(parts[i])
            print path
        }
        { path = $1; sub(/:$/, "", path); $1 = ""; needs[path] = $0; file[id(path)] = path }
        END {
            while ((getline line <builtin) > 0) ready[id(line)] = 1
            count = split(wanted, names, " ")
            for (i = 1; i <= count; i++) {
                name = names[i]; gsub(/-/, "_", name)
                if (name in file) visit(file[name]); else if (!(name in ready)) print "rootfs/vm: no module " names[i] >"/dev/stderr"
            }
        }' "$directory/modules.dep"
}

# make_kernel SERIES SUITES... makes $cache/kernel-SERIES/{vmlinux,modules.cpio,release,key} from the newest cloud kernel there.
make_kernel() {
    series=$1
    shift
    key=$(cat "$here/modules.list" "$here/kernel.sh" | sha256sum | cut -c 1-16)
    [ "$(cat "$cache/kernel-$series/key" 2>/dev/null)" != "$key" ] || [ -n "${KEELSON_VM_REFRESH:-}" ] || return 0
    private_apt "kernel-$series" "$@"
    package=$(private apt-cache depends linux-image-cloud-amd64 | sed -n 's/^ *Depends: \(linux-image-[^ ]*\)$/\1/p' | head -n 1)
    case $package in
    "linux-image-$series"*) ;;
    *) fail "no Linux $series in $*: linux-image-cloud-amd64 is ${package:-absent}" ;;
    esac
    release=${package#linux-image-}
    echo "rootfs/vm: making kernel $release" >&2
    work=$cache/kernel-$series.new
    rm -rf "$work"
    mkdir -p "$work/tree/modules"
    (cd "$work" && private apt-get download -qq "$package" >&2) || fail "cannot download $package"
    dpkg-deb -x "$work"/linux-image-*.deb "$work/package"
    extract_vmlinux "$work/package/boot/vmlinuz-$release" "$work/vmlinux"
    modules=$work/package/lib/modules/$release
    # The package's own dependency list is made on installation.
    depmod -b "$work/package" "$release"
    n=100
    # shellcheck disable=SC2046
    load_order "$modules" $(sed '/^#/d' "$here/modules.list") >"$work/order"
    while read -r path; do
        n=$((n + 1))
        name=$(basename "$path")
        target=$work/tree/modules/$n-${name%.ko*}.ko
        case $name in
        *.xz) xz -dc "$modules/$path" >"$target" ;;
        *.zst) zstd -dcq "$modules/$path" >"$target" ;;
        *) cp "$modules/$path" "$target" ;;
        esac
        strip_signature "$target"
    done <"$work/order"
    mkdir "$work/tree/dev" "$work/tree/proc" "$work/tree/sys"
    (cd "$work/tree" && find . | LC_ALL=C sort | cpio --quiet -o -H newc --reproducible) >"$work/modules.cpio"
    echo "$release" >"$work/release"
    echo "$key" >"$work/key"
    rm -rf "$work/package" "$work/tree" "$work"/*.deb "$work/order" "${cache:?}/kernel-$series"
    mv "$work" "$cache/kernel-$series"
}
