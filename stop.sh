#!/bin/sh
# stop.sh - stops the gateway and removes every container it made.
#
#   sh stop.sh [--rootless] [--state-dir DIR] [--config FILE]
#
# Settings are found as start.sh finds them.  To change over to a new build without losing sessions,
# use sh start.sh --restart instead.
set -eu
# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"

GATEWAY=$TOP/build/gateway/tci-gateway

stop() {
    if ! pid=$(running_gateway "$STATE_DIR"); then
        say "No gateway is running on $STATE_DIR."
        return
    fi
    # Built elsewhere, or installed: its own program cleans up after it.
    [ -x "$GATEWAY" ] || GATEWAY=$(as_root readlink "/proc/$pid/exe")
    printf 'Stopping the gateway (pid %s) ... ' "$pid"
    stop_gateway "$pid" "$(drain_seconds "$@")"
    printf 'done\n'
}

remove_containers() {
    [ -x "$GATEWAY" ] || die "$GATEWAY is missing: run sh start.sh to build it, then sh stop.sh again"
    step "$TOP/build-logs/stop.log" "Removing its containers" as_root "$GATEWAY" --remove-containers "$@" ||
        die "some containers could not be removed"
    say "$(tail -n 1 "$TOP/build-logs/stop.log")."
}

if [ "${1:-}" = --rootless ]; then
    ROOTLESS=yes
    shift
    [ "$(id -u)" -ne 0 ] || die "--rootless is for a user who is not root"
else
    need_root
fi
STATE_DIR=$(state_dir "$@")
if ! as_root test -d "$STATE_DIR"; then
    say "There is no $STATE_DIR: nothing to stop."
    exit
fi
stop "$@"
remove_containers "$@"
