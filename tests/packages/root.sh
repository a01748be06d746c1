# shellcheck shell=bash
# Makes roots of Debian for the tests of packages, and compares.

# make_root FOLDER FLAGS...: installs a small system of the release that this machine has.
make_root() {
    local root=$1 sources='' file
    shift
    for file in /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list; do
        if [ -s $file ]; then sources=$file && break; fi
    done
    # shellcheck disable=SC1091
    . /etc/os-release
    mmdebstrap --quiet "$@" "$VERSION_CODENAME" "$root" ${sources:+"$sources"}
}

# needs TOOL...: leaves the package out if a tool or the rights of root are missing.
needs() {
    local tool
    for tool in "$@"; do
        command -v "$tool" >/dev/null || { echo "$tool" && exit 77; }
    done
    [ "$(id -u)" = 0 ] || { echo 'root' && exit 77; }
}

# make_package: builds the Debian package, and prints its path.
make_package() {
    ../../packaging/deb "$HOST" 2>"$SCRATCH/log" || { cat "$SCRATCH/log" >&2 && return 1; }
}

# expect WHAT FOUND EXPECTED: fails unless both are the same.
expect() {
    if [ "$2" != "$3" ]; then
        echo "$1: expected ${3@Q}, found ${2@Q}"
        return 1
    fi
}
