#!/bin/sh
# start.sh - sets everything up and starts the gateway: packages, build, service, and what to do next.
#
#   sh start.sh [--with LANGUAGES] [--rootless] [--foreground] [--restart] [GATEWAY OPTIONS...]
#
# Every setting of the gateway is taken from the environment (TCI_MIN_IDLE_WORKERS=2 sh start.sh) or
# passed on from here (sh start.sh --min-idle-workers 2).  Running it again is safe.
set -eu
# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"

BUILD=$TOP/build
GATEWAY=$BUILD/gateway/tci-gateway
READY_TIMEOUT=120

usage() {
    sed -n '2,/^set/s/^# \{0,1\}//p' "$TOP/start.sh"
    cat <<END
  --with LIST   install what these languages need, as in --with javascript,r; all, or some of:
$(languages | paste -s -d ' ' | fold -s -w 80 | sed 's/^/                /')
  --rootless    without root: the gateway and its containers are yours; some limits are not enforced
  --foreground  stay in the foreground, for a service manager
  --restart     replace a running gateway; its sessions live on
  --help        this; the gateway's own options: build/gateway/tci-gateway --help
END
}

check_host() {
    [ "$(uname -s)" = Linux ] || die "containers need Linux; this is $(uname -s)"
    [ -r /proc/self/mounts ] || die "/proc is not mounted"
    [ "$ROOTLESS" = no ] || return 0
    grep -q ' cgroup2\{0,1\} ' /proc/self/mounts ||
        die "no cgroup file system is mounted on /sys/fs/cgroup; containers cannot be limited without one"
}

# Whoever built here first owns what was made; say so rather than fail in the middle of make.
check_writable() {
    for place in "$TOP" "$BUILD" "$TOP/build-logs" "$TOP/configure"; do
        [ ! -e "$place" ] || [ -w "$place" ] ||
            die "$place belongs to $(stat -c %U "$place"): run this as that user, or change its owner"
    done
    mkdir -p "$TOP/build-logs"
}

# Two at once would build into the same tree.  The lock ends with this shell: the gateway does not get it.
one_at_a_time() {
    exec 9>"$TOP/build-logs/lock"
    flock -n 9 || { say "Waiting for another start.sh in this tree"; flock 9; }
}

build() {
    step "$TOP/build-logs/build.log" "Building" build_tree "$BUILD" || die "the build failed"
}

# Prints the pid of the new gateway.  setsid takes it out of this terminal's reach; the shell in between
# exists to say its pid, and is replaced by the gateway.  Not `&`: that would hand down an ignored SIGINT.
launch() {
    # shellcheck disable=SC2016 # expanded by the inner shell
    as_root setsid --fork sh -c 'echo $$; log=$1; shift; exec "$@" >>"$log" 2>&1 </dev/null' \
        sh "$STATE_DIR/gateway.log" "$GATEWAY" "$@" 9>&-
}

# Tells what /readyz says: 200 when the pool is warm.
readiness() {
    curl -s -k --noproxy '*' --max-time 5 -o /dev/null -w '%{http_code}' "$1/readyz" || true
}

wait_ready() {
    deadline=$(($(date +%s) + READY_TIMEOUT))
    address=
    while is_alive "$1"; do
        [ -n "$address" ] || address=$(state_file "$STATE_DIR" address) || address=
        if [ -n "$address" ] && [ "$(readiness "$address")" = 200 ]; then
            return 0
        fi
        if [ "$(date +%s)" -ge "$deadline" ]; then
            say "not ready after $READY_TIMEOUT s"
            return 1
        fi
        sleep 0.2
    done
    say "the gateway ended"
    return 1
}

start() {
    as_root mkdir -p -m 0711 "$STATE_DIR" # the containers' users pass through it, to the socket of the link
    as_root rm -f "$STATE_DIR/address" # one that a killed gateway left would be believed
    pid=$(launch "$@")
    if ! step "$TOP/build-logs/start.log" "Starting the gateway and warming workers" wait_ready "$pid"; then
        say "The gateway's log, $STATE_DIR/gateway.log, ends with:" >&2
        as_root tail -n 20 "$STATE_DIR/gateway.log" >&2
        is_alive "$pid" && say "The gateway (pid $pid) still runs; sh stop.sh ends it." >&2
        exit 1
    fi
}

# meet_running PID GATEWAY-OPTIONS... - says what runs already; with --restart, ends it and fails, so that
# it is started anew.
meet_running() {
    if [ "$RESTART" = yes ]; then
        say "Restarting the gateway (pid $1); its sessions live on."
        stop_gateway "$1" "$(drain_seconds "$@")"
        return 1
    fi
    say "The gateway is running already (pid $1)."
    newer=$(as_root find "$GATEWAY" "$BUILD/worker/tci-worker" "$BUILD/proxy/tci-proxy" -newer "$STATE_DIR/gateway.pid" 2>/dev/null) || true
    if [ -n "$newer" ]; then
        say "It was built anew since then: sh start.sh --restart changes over, and sessions live on."
    fi
    [ $# -eq 1 ] || say "The options given now have no effect on it: sh start.sh --restart applies them."
}

# How a reader's shell gets at the token: a word for the curl line, quoted for pasting.
token_word() {
    if [ -n "${TCI_AUTH_TOKEN:-}" ]; then
        # shellcheck disable=SC2016 # for the reader's shell
        printf '$TCI_AUTH_TOKEN'
    elif [ "$(id -u)" -eq 0 ] || [ "$ROOTLESS" = yes ]; then
        # shellcheck disable=SC2016
        printf '$(cat %s/auth_token)' "$STATE_DIR"
    else
        # shellcheck disable=SC2016
        printf '$(sudo cat %s/auth_token)' "$STATE_DIR"
    fi
}

# show_usage GATEWAY-OPTIONS...
show_usage() {
    address=$(state_file "$STATE_DIR" address)
    token=${TCI_AUTH_TOKEN:-$(state_file "$STATE_DIR" auth_token || true)}
    insecure=
    case $address in
    https:*) insecure=' -k' ;; # certificates are seldom made out to a loopback address
    esac
    cat <<END

The Code Interpreter is ready.

  Test page  $address/#token=$token
  Token      $(token_place)
  Log        $STATE_DIR/gateway.log
  Stop       sh stop.sh$([ "$ROOTLESS" = no ] || printf ' --rootless')

Try it:

curl -s$insecure $address/execute -H "X-Auth-Token: $(token_word)" -H 'Content-Type: application/json' -d '{"user_uuid":"demo","code":"$(hello "$(kernel_language "$(setting kernel python3 "$@")")")"}'

END
}

token_place() {
    if [ -n "${TCI_AUTH_TOKEN:-}" ]; then
        # shellcheck disable=SC2016 # the variable's name
        printf 'as you set it in $TCI_AUTH_TOKEN'
    else
        printf '%s/auth_token' "$STATE_DIR"
    fi
}

FOREGROUND=no
RESTART=no
WITH=
left=$#
while [ "$left" -gt 0 ]; do
    argument=$1
    shift
    left=$((left - 1))
    case $argument in
    --with)
        [ "$left" -gt 0 ] || die "--with wants languages: $(languages | paste -s -d ' ')"
        WITH="$WITH,$1"
        shift
        left=$((left - 1))
        ;;
    --with=*) WITH="$WITH,${argument#*=}" ;;
    --rootless) ROOTLESS=yes ;;
    --foreground) FOREGROUND=yes ;;
    --restart) RESTART=yes ;;
    --help | -h) usage && exit ;;
    *) set -- "$@" "$argument" ;;
    esac
done

[ "$ROOTLESS" = no ] || [ "$(id -u)" -ne 0 ] || die "--rootless is for a user who is not root"
WITH=$(named_languages "$WITH")
check_host
check_writable
[ "$ROOTLESS" = yes ] || need_root
one_at_a_time
# shellcheck disable=SC2046,SC2086 # lists of words
install_packages $PACKAGES_RUN $PACKAGES_BUILD $(runtime_packages "$@") \
    $([ "$ROOTLESS" = no ] || printf '%s\n' "$PACKAGES_ROOTLESS")
# shellcheck disable=SC2086 # a list of words
install_languages $WITH
build
STATE_DIR=$(state_dir "$@")

if [ "$FOREGROUND" = yes ]; then
    exec 9>&-
    if [ "$(id -u)" -eq 0 ] || [ "$ROOTLESS" = yes ]; then
        exec "$GATEWAY" "$@"
    fi
    exec sudo --preserve-env="$(settings_in_environment)" "$GATEWAY" "$@"
fi
if ! pid=$(running_gateway "$STATE_DIR") || ! meet_running "$pid" "$@"; then
    start "$@"
fi
show_usage "$@"
