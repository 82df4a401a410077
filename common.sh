# common.sh - what start.sh, stop.sh, check.sh and the scripts in tests/ share.  Sourced, not run.
# shellcheck shell=sh disable=SC2034 # some names are for those who source this

# What the programs need to run, and what it takes to build them.  One package for each reason.
PACKAGES_RUN="crun curl python3-ipykernel python3-numpy python3-pandas python3-matplotlib
    fonts-dejavu-core fonts-wqy-microhei libarchive13"
PACKAGES_RUNSC="runsc" # where the setting runtime says so
PACKAGES_PACKAGES="python3-pip" # where there is a source of packages for sessions
PACKAGES_ROOTLESS="uidmap util-linux" # newuidmap, nsenter: with --rootless
PACKAGES_BUILD="gcc libc6-dev make autoconf automake pkg-config libzmq3-dev libjansson-dev libevent-dev
    libssl-dev libsodium-dev libsqlite3-dev libcurl4-openssl-dev libedit-dev libinih-dev uthash-dev libarchive-dev"
PACKAGES_CHECK="python3-pip libcmocka-dev clang llvm libclang-rt-14-dev clang-format clang-tidy cppcheck shellcheck
    python3-jupyter-kernel-test python3-pytest python3-httpx python3-jsonschema python3-zmq python3-selenium xpython chromium chromium-driver
    procps iproute2 openssl git libfaketime nginx-light"

TOP=$(cd "$(dirname "$0")" && while [ ! -e common.sh ]; do cd ..; done && pwd)
APT_LOG=$TOP/build-logs/apt.log

say() {
    printf '%s\n' "$*"
}

die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# yes: the gateway is the caller's, who is not root; start.sh and stop.sh say so.
ROOTLESS=no

# Containers, cgroups and mounts are root's; everything else runs as whoever called.
as_root() {
    if [ "$(id -u)" -eq 0 ] || [ "$ROOTLESS" = yes ]; then
        "$@"
    else
        # The settings travel in the environment, not in an argument list that everyone can read.
        sudo --preserve-env="$(settings_in_environment)" "$@"
    fi
}

settings_in_environment() {
    env | sed -n 's/^\(TCI_[A-Z_]*\)=.*/\1/p' | paste -s -d, -
}

# Asks for the password once, at the start, rather than in the middle of a progress line.
need_root() {
    [ "$(id -u)" -eq 0 ] && return
    command -v sudo >/dev/null || die "this takes root: run it as root, or install sudo; with --rootless the
    containers are yours, and some limits are not enforced (README.md)"
    sudo -n true 2>/dev/null || sudo -v || die "sudo refused; run this as root"
}

# step LOG TITLE COMMAND... - a progress line; the command's output goes to LOG, whose end is shown on failure.
step() {
    step_log=$1
    step_title=$2
    shift 2
    mkdir -p "$(dirname "$step_log")"
    printf '%s ... ' "$step_title"
    step_start=$(date +%s)
    if "$@" >"$step_log" 2>&1 </dev/null; then
        printf 'done (%d s)\n' $(($(date +%s) - step_start))
        return 0
    fi
    printf 'failed\n\n'
    show_end "$step_log"
    return 1
}

show_end() {
    printf -- '--- the last lines of %s\n' "$1" >&2
    tail -n 40 "$1" >&2
    printf -- '---\n' >&2
}

# Prints those of the named packages that are not installed.
missing_packages() {
    have=$(dpkg-query -W -f '${Package}=${db:Status-Status}\n' "$@" 2>/dev/null) || true
    for package; do
        printf '%s\n' "$have" | grep -qxF "$package=installed" || printf '%s\n' "$package"
    done
}

# Installs what is missing and nothing else, so that a complete machine needs no network here.
install_packages() {
    if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
        explain_without_apt "$@"
        return
    fi
    missing=$(missing_packages "$@")
    [ -n "$missing" ] || return 0
    # shellcheck disable=SC2086 # a list of words
    [ "$ROOTLESS" = no ] || die "packages are missing, which only root can install: apt-get install" $missing
    need_root
    # shellcheck disable=SC2086 # a list of words
    set -- $missing
    step "$APT_LOG" "Installing $# packages" apt_install "$@" ||
        die "these packages could not be installed: $*"
}

# The package lists are fetched only when the ones at hand are missing or too old to install from.
apt_install() {
    apt_get install "$@" || { apt_get update && apt_get install "$@"; }
}

apt_get() {
    # Installing a service must not start it, and nothing may stop to ask.
    # shellcheck disable=SC2016 # expanded by the inner shell
    as_root env DEBIAN_FRONTEND=noninteractive sh -c '
        trap "exit 130" INT TERM
        [ -e /usr/sbin/policy-rc.d ] || {
            trap "rm -f /usr/sbin/policy-rc.d" EXIT
            printf "#!/bin/sh\nexit 101\n" >/usr/sbin/policy-rc.d
            chmod 755 /usr/sbin/policy-rc.d
        }
        apt-get -y -q --no-install-recommends -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300 "$@"' sh "$@"
}

# The names of the languages in kernelspecs/.
languages() {
    for spec in "$TOP"/kernelspecs/*/kernel.json; do
        basename "$(dirname "$spec")"
    done
}

# named_languages LIST - what a list with commas names, one a line; `all` names every one.
named_languages() {
    for name in $(printf '%s' "$1" | tr ',' ' '); do
        if [ "$name" = all ]; then
            languages
        elif languages | grep -qxF -- "$name"; then
            printf '%s\n' "$name"
        else
            die "there is no language named $name; there are: $(languages | paste -s -d ' ')"
        fi
    done
}

# What kernel.json names as metadata.tci.package, one a line: a Debian package, or
# `npm:NAME@VERSION INTEGRITY MACHINE DIRECTORY` for an archive of npm's registry.
language_packages() {
    /usr/bin/python3 -c 'import json, sys
print("\n".join(json.load(open(sys.argv[1]))["metadata"]["tci"].get("package", [])))' "$TOP/kernelspecs/$1/kernel.json"
}

# install_languages NAME... - what they need and is not there.
install_languages() {
    for language; do
        packages=$(language_packages "$language" | grep -v '^npm:') || packages=
        # shellcheck disable=SC2086 # a list of words
        [ -z "$packages" ] || install_packages $packages
        language_packages "$language" | grep '^npm:' >"$TOP/build-logs/npm.$$" || true
        while read -r source integrity machine directory; do
            install_npm "${source#npm:}" "$integrity" "$machine" "$directory" "$language"
        done <"$TOP/build-logs/npm.$$"
        rm -f "$TOP/build-logs/npm.$$"
    done
}

# Where containers see what is neither Debian's nor ours.
NPM_PLACE=/usr/local/lib/tci

# install_npm NAME@VERSION INTEGRITY MACHINE DIRECTORY LANGUAGE
install_npm() {
    [ "$(uname -m)" = "$3" ] || die "$5: $1 is for $3, and this is $(uname -m)"
    [ "$(cat "$NPM_PLACE/$4/.integrity" 2>/dev/null)" != "$2" ] || return 0
    [ "$ROOTLESS" = no ] || die "$1 is missing, which only root can install: sh start.sh --with $5, as root"
    need_root
    step "$TOP/build-logs/npm.log" "Fetching $1" fetch_npm "$@" || die "$1 could not be installed"
}

# As npm itself is told: by the environment, or by a line of its files.
npm_registry() {
    if [ -n "${NPM_CONFIG_REGISTRY:-${npm_config_registry:-}}" ]; then
        printf '%s\n' "${NPM_CONFIG_REGISTRY:-$npm_config_registry}"
    else
        sed -n 's/^registry *= *//p' "${HOME:-/root}/.npmrc" /etc/npmrc 2>/dev/null | head -n 1
    fi
}

# An archive that is not, bit by bit, what kernel.json says is not unpacked.
fetch_npm() {
    archive=$TOP/build-logs/npm.tgz
    registry=$(npm_registry)
    [ -n "$registry" ] || { echo "say where npm's registry is: NPM_CONFIG_REGISTRY=https://..., or registry= in ~/.npmrc"; return 1; }
    name=${1%@*}
    curl -fsSL --retry 2 -o "$archive" "${registry%/}/$name/-/${name##*/}-${1##*@}.tgz" || return 1
    /usr/bin/python3 -c 'import base64, hashlib, sys
kind, _, wanted = sys.argv[2].partition("-")
found = base64.b64encode(hashlib.new(kind, open(sys.argv[1], "rb").read()).digest()).decode()
sys.exit(found != wanted and f"the archive has {kind}-{found}, not {sys.argv[2]}")' "$archive" "$2" || return 1
    as_root rm -rf "$NPM_PLACE/$4.new" "$NPM_PLACE/$4.old" && as_root mkdir -p "$NPM_PLACE/$4.new" &&
        as_root tar -xzf "$archive" -C "$NPM_PLACE/$4.new" --strip-components=1 --no-same-owner || return 1
    printf '%s\n' "$2" | as_root tee "$NPM_PLACE/$4.new/.integrity" >/dev/null
    [ ! -e "$NPM_PLACE/$4" ] || as_root mv "$NPM_PLACE/$4" "$NPM_PLACE/$4.old"
    as_root mv "$NPM_PLACE/$4.new" "$NPM_PLACE/$4" && as_root rm -rf "$NPM_PLACE/$4.old" && rm -f "$archive"
}

# kernel_language KERNEL - the language in its kernel.json; python if there is none to be found.
kernel_language() {
    for place in "$TOP/kernelspecs" /usr/local/share/jupyter/kernels /usr/share/jupyter/kernels; do
        [ ! -r "$place/$1/kernel.json" ] || break
    done
    /usr/bin/python3 -c 'import json, sys
print(json.load(open(sys.argv[1]))["language"].lower())' "$place/$1/kernel.json" 2>/dev/null || printf 'python\n'
}

# hello LANGUAGE - code that prints 42, as it stands in a string of JSON that the shell has in single quotes.
hello() {
    # shellcheck disable=SC2016 # for the language
    case $1 in
    bash) printf '%s' 'echo $((6 * 7))' ;;
    c) printf '%s' '#include <stdio.h>\nint main(void) { printf(\"%d\\n\", 6 * 7); return 0; }' ;;
    c++) printf '%s' '#include <iostream>\nint main() { std::cout << 6 * 7 << std::endl; }' ;;
    fortran) printf '%s' 'print *, 6 * 7\nend' ;;
    go) printf '%s' 'package main\nimport \"fmt\"\nfunc main() { fmt.Println(6 * 7) }' ;;
    java) printf '%s' 'class Main { public static void main(String[] a) { System.out.println(6 * 7); } }' ;;
    javascript | typescript) printf '%s' 'console.log(6 * 7)' ;;
    octave) printf '%s' 'disp(6 * 7)' ;;
    perl) printf '%s' 'print 6 * 7' ;;
    php) printf '%s' '<?php echo 6 * 7;' ;;
    r) printf '%s' 'cat(6 * 7)' ;;
    ruby) printf '%s' 'puts 6 * 7' ;;
    rust) printf '%s' 'fn main() { println!(\"{}\", 6 * 7); }' ;;
    tcl) printf '%s' 'puts [expr 6 * 7]' ;;
    lua | python) printf '%s' 'print(6 * 7)' ;;
    *) printf 'code in %s' "$1" ;;
    esac
}

explain_without_apt() {
    for program in gcc make autoreconf pkg-config crun curl python3; do
        command -v "$program" >/dev/null && continue
        say "This is not a Debian system (there is no apt-get), so nothing can be installed from here."
        say "What is needed, by its Debian names:"
        printf '    %s\n' "$@"
        die "$program is missing"
    done
}

# build_tree DIR CONFIGURE-ARGUMENTS... - brings a tree up to date; with nothing to do it takes a moment.
build_tree() {
    tree=$1
    shift
    make_configure && configure_tree "$tree" "$@" && make -C "$tree" -j"$(nproc)" all
}

# Once it is there, make itself keeps it up to date.
make_configure() {
    if [ ! -e "$TOP/configure" ] || [ ! -e "$TOP/Makefile.in" ]; then
        (cd "$TOP" && autoreconf -fi)
    fi
}

# Objects do not depend on the flags they were compiled with, so other arguments mean starting afresh.
configure_tree() {
    tree=$1
    shift
    if [ -e "$tree/Makefile" ] && [ "$(cat "$tree/.arguments" 2>/dev/null)" = "$*" ]; then
        return
    fi
    rm -rf "$tree" && mkdir -p "$tree" && (cd "$tree" && "$TOP/configure" "$@") &&
        printf '%s\n' "$*" >"$tree/.arguments"
}

# option_value NAME ARGUMENTS... - the value of --NAME among them, the last one given; empty if none.
option_value() {
    wanted=--$1
    found=
    shift
    while [ $# -gt 0 ]; do
        case $1 in
        "$wanted") found=${2-} ;;
        "$wanted"=*) found=${1#*=} ;;
        esac
        shift
    done
    printf '%s\n' "$found"
}

# setting NAME DEFAULT ARGUMENTS... - a setting as the gateway sees it: command line, environment, file, default.
setting() {
    key=$1
    default=$2
    shift 2
    value=$(option_value "$(printf '%s' "$key" | tr _ -)" "$@")
    [ -n "$value" ] || value=$(printenv "TCI_$(printf '%s' "$key" | tr '[:lower:]' '[:upper:]')") || true
    file=$(option_value config "$@")
    if [ -z "$value" ] && [ -n "$file" ]; then
        value=$(as_root sed -n "s/^[[:space:]]*${key}[[:space:]]*[=:][[:space:]]*\([^[:space:]]*\).*/\1/p" "$file" |
            tail -n 1)
    fi
    printf '%s\n' "${value:-$default}"
}

# What the settings need: runtime, and those of packages for sessions.
runtime_packages() {
    if [ "$(setting runtime crun "$@")" = runsc ]; then
        printf '%s\n' "$PACKAGES_RUNSC"
    fi
    if [ -n "$(setting packages_dir '' "$@")$(setting packages_index '' "$@")" ]; then
        printf '%s\n' "$PACKAGES_PACKAGES"
    fi
}

# As gateway/statedir.c has it.
default_state_dir() {
    if [ "$ROOTLESS" = yes ]; then
        printf '%s/tci\n' "${XDG_STATE_HOME:-$HOME/.local/state}"
    else
        printf '/var/lib/tci\n'
    fi
}

state_dir() {
    dir=$(setting state_dir "$(default_state_dir)" "$@")
    printf '%s\n' "${dir%/}"
}

# How long a gateway may take to end: an execution that has begun gets its answer.
drain_seconds() {
    setting exec_timeout 30 "$@" | awk '{ printf "%d\n", $1 + 15 }'
}

# state_file DIR NAME - the content of a file in the state directory, which only root may read.
state_file() {
    as_root cat "$1/$2" 2>/dev/null
}

is_alive() {
    # A zombie has ended, even where nobody collects it.
    [ -r "/proc/$1/stat" ] && ! grep -q ') Z ' "/proc/$1/stat" 2>/dev/null
}

# The pid of the gateway that runs on a state directory; fails if there is none.  A pid in a file says
# little after a crash, so the process must be a gateway and must hold a file of that directory open.
running_gateway() {
    pid=$(state_file "$1" gateway.pid) || return 1
    case $pid in
    '' | *[!0-9]*) return 1 ;;
    esac
    is_alive "$pid" || return 1
    case $(as_root readlink "/proc/$pid/exe") in
    */tci-gateway | */tci-gateway' (deleted)') ;;
    *) return 1 ;;
    esac
    resolved=$(as_root readlink -f "$1") || return 1 # as the names of open files are
    as_root find "/proc/$pid/fd" -lname "$resolved/*" | grep -q . || return 1
    printf '%s\n' "$pid"
}

# The shell's own kill, because a bare system has no program of that name for sudo to run.
send_signal() {
    # shellcheck disable=SC2016 # expanded by the inner shell
    as_root sh -c 'kill -s "$1" "$2"' sh "$1" "$2" || ! is_alive "$2" || die "pid $2 could not be told to end"
}

# stop_gateway PID SECONDS - asks it to drain and end, and insists when the time is up.
stop_gateway() {
    send_signal TERM "$1"
    for _ in $(seq $(($2 * 5))); do
        is_alive "$1" || return 0
        sleep 0.2
    done
    say "It did not end within $2 s; killing it."
    send_signal KILL "$1"
    while is_alive "$1"; do
        sleep 0.2
    done
}
