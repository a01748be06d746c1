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

# expect WHAT FOUND EXPECTED: fails unless both are the same.
expect() {
    if [ "$2" != "$3" ]; then
        echo "$1: expected ${3@Q}, found ${2@Q}"
        return 1
    fi
}
