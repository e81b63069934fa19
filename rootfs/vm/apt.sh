# Debian's packages, resolved with an apt configuration of our own: the machine's sources are neither needed nor changed.
# Sourced by `build`, which sets $cache.

mirror=${KEELSON_DEBIAN_MIRROR:-http://deb.debian.org/debian}
security=${KEELSON_DEBIAN_SECURITY_MIRROR:-http://deb.debian.org/debian-security}
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

# private_apt NAME SUITES... makes the configuration NAME and fetches its lists.
private_apt() {
    name=$1
    shift
    apt=$cache/apt/$name
    mkdir -p "$apt/lists/partial" "$apt/archives/partial"
    : >"$apt/sources.list"
    for archive in "$@"; do
        case $archive in
        *-security) uri=$security ;;
        *) uri=$mirror ;;
        esac
        echo "deb [signed-by=$keyring] $uri $archive main" >>"$apt/sources.list"
    done
    private apt-get -qq update >&2 || fail "cannot fetch the package lists of $* from $mirror"
}

# private COMMAND... runs an apt command with the configuration made last.
private() {
    command=$1
    shift
    # The sandbox user of apt cannot write below a build directory.
    "$command" -o "Dir::Etc::sourcelist=$apt/sources.list" -o Dir::Etc::sourceparts=/dev/null \
        -o "Dir::State::lists=$apt/lists" -o "Dir::Cache=$apt" -o "Dir::Cache::archives=$apt/archives" \
        -o APT::Sandbox::User=root "$@"
}

# need COMMAND PACKAGE ... installs the packages whose commands are missing.
need() {
    missing=
    while [ $# -gt 0 ]; do
        command -v "$1" >/dev/null || missing="$missing $2"
        shift 2
    done
    [ -n "$missing" ] || return 0
    command -v apt-get >/dev/null || fail "missing:$missing (no apt-get here to install them with)"
    [ "$(id -u)" = 0 ] || fail "missing:$missing; install them as root with: apt-get install$missing"
    echo "rootfs/vm: installing$missing" >&2
    # shellcheck disable=SC2086
    install_quietly $missing || { apt-get -qq update >&2 && install_quietly $missing; } ||
        fail "cannot install$missing with apt-get"
}

install_quietly() {
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >&2
}
