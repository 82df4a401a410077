#!/bin/sh
# bare-root.sh - proves that two commands are enough on a machine with nothing on it: makes a bare Debian 12
# root, copies the committed tree into it, runs `sh start.sh`, pastes the curl line it prints, runs
# `sh start.sh --restart` to see that a session lives on, `sh stop.sh`, and looks for what was left behind.
#
#   sudo sh tests/bare-root.sh [--check] [--user] [--keep]
#
#   --check  runs `sh check.sh` in it as well
#   --user   runs start.sh and stop.sh as a user with sudo, not as root
#   --keep   leaves the root where it is
#
# Needs mmdebstrap and packages from Debian.  TCI_... settings in the environment reach the gateway.
set -eu
cd "$(dirname "$0")/.."

CHECK=no
AS_USER=no
KEEP=no
INSIDE=no
for option; do
    case $option in
    --check) CHECK=yes ;;
    --user) AS_USER=yes ;;
    --keep) KEEP=yes ;;
    --inside) INSIDE=yes ;;
    *) echo "usage: sudo sh tests/bare-root.sh [--check] [--user] [--keep]" >&2 && exit 2 ;;
    esac
done

fail() {
    printf 'FAILED: %s\n' "$*" >&2
    exit 1
}

# --- outside: the root, and a way into it ---

make_root() {
    set -- --variant=minbase
    [ "$AS_USER" = no ] || set -- "$@" --include=sudo
    mmdebstrap "$@" bookworm "$ROOT" >"$WORK/mmdebstrap.log" 2>&1 ||
        { tail -n 20 "$WORK/mmdebstrap.log"; fail "no root could be made"; }
    cp -L /etc/resolv.conf "$ROOT/etc/resolv.conf"
    printf "127.0.0.1 localhost bare\n" >"$ROOT/etc/hosts"
    mkdir "$ROOT/tci" "$ROOT/old"
    # A clone, because what was committed counts, and because the checks may ask git.
    git clone -q . "$ROOT/tci/src"
    git -C "$ROOT/tci/src" remote remove origin
    cp tests/bare-root.sh "$ROOT/tci/bare-root.sh"
}

# In a mount namespace of its own a root can be entered by pivot_root, which is what the container runtime
# inside needs to be able to do once more; and in a pid namespace nothing survives the end of this script.
enter_root() {
    # shellcheck disable=SC2016 # expanded by the inner shell
    unshare --mount --pid --ipc --uts --fork --kill-child sh -euc '
        root=$1
        shift
        mount --make-rprivate /
        mount --bind "$root" "$root"
        mount -t proc proc "$root/proc"
        mount --rbind /sys "$root/sys"
        mount --rbind /dev "$root/dev"
        mount -t tmpfs tmpfs "$root/run"
        mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
        cd "$root"
        pivot_root . old
        umount -l /old
        cd /
        hostname bare
        exec env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"
    ' sh "$ROOT" "$@"
}

clean() {
    [ -z "${WORK:-}" ] || [ "$KEEP" = yes ] || rm -rf --one-file-system "$WORK"
}

outside() {
    [ "$(id -u)" -eq 0 ] || fail "making a root takes root: sudo sh tests/bare-root.sh"
    command -v mmdebstrap >/dev/null || fail "mmdebstrap is missing: apt-get install mmdebstrap"
    WORK=$(mktemp -d "${TMPDIR:-/tmp}/tci-bare.XXXXXX")
    ROOT=$WORK/root
    trap clean EXIT
    trap 'exit 130' INT TERM
    echo "Making a bare Debian 12 in $ROOT"
    make_root
    settings=$(env | grep '^TCI_' || true)
    # shellcheck disable=SC2086 # a list of words
    enter_root $settings sh /tci/bare-root.sh --inside "$@"
}

# --- inside ---

# run COMMAND... - in the tree, as the one who tries it out.
run() {
    if [ "$AS_USER" = yes ]; then
        runuser -u visitor -- "$@"
    else
        "$@"
    fi
}

make_visitor() {
    useradd --create-home visitor
    echo 'visitor ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/visitor
    chown -R visitor: /tci/src
}

# paste CODE - the line as a person would copy it, given to a shell as a person would paste it; with CODE in
# the place of its own.
paste() {
    line=$(grep '^curl ' /tci/start.out) || fail "start.sh printed no curl line"
    line=$(printf '%s\n' "$line" | sed "s/print(6 \* 7)/$1/")
    printf '\n$ %s\n' "$line"
    answer=$(run sh -c "$line")
    printf '%s\n\n' "$answer"
}

# expect TEXT - what the last answer must have as its text, as JSON writes it.
expect() {
    case $answer in
    '{"result_text":'"$1"',"result_base64":null,'*) ;;
    *) fail "the answer should have been $1" ;;
    esac
}

# The control groups of the containers that run, as the host names them; its others are not ours to judge.
note_groups() {
    GROUPS_MADE=$(sed -n 's|.*:/\(tci-[0-9a-f]*\)/.*|\1|p' /proc/[0-9]*/cgroup 2>/dev/null | sort -u)
    [ -n "$GROUPS_MADE" ] || fail "no container has a control group of its own"
}

nothing_left() {
    ! grep -E '^(tci-|crun|python)' /proc/[0-9]*/comm || fail "processes are left"
    ! grep /var/lib/tci /proc/self/mounts || fail "mounts are left"
    for group in $GROUPS_MADE; do
        left=$(find /sys/fs/cgroup -type d -name "$group")
        [ -z "$left" ] || fail "cgroups are left: $left"
    done
    left=$(find /var/lib/tci /run -name config.json)
    [ -z "$left" ] || fail "bundles are left: $left"
}

start_and_stop() {
    run sh start.sh | tee /tci/start.out
    paste 'print(6 * 7)'
    expect '"42\n"'
    paste 'kept = 6 * 7'
    expect null
    note_groups

    echo '$ sh start.sh    # once more'
    run sh start.sh >/tci/again.out
    grep 'is running already' /tci/again.out || fail "start.sh does not see the gateway that runs"
    echo '$ sh start.sh --restart'
    run sh start.sh --restart >/tci/again.out
    paste 'print(kept)'
    expect '"42\n"'

    run sh stop.sh
    nothing_left
}

inside() {
    cd /tci/src
    # Control groups are the host's and would outlive this root.
    trap 'sh stop.sh >/dev/null 2>&1 || true' EXIT
    if [ "$AS_USER" = yes ]; then
        make_visitor
    fi
    start_and_stop
    [ "$CHECK" = no ] || sh check.sh
    echo "The bare root: everything worked."
}

if [ "$INSIDE" = yes ]; then
    inside
else
    outside "$@"
fi
