#!/bin/sh
# check.sh - sets everything up and runs every test; what continuous integration runs as well.
#
#   sh check.sh             all of it
#   sh check.sh SUITE...    some of it: lint unit unit-asan kernelspecs worker-asan blackbox blackbox-asan v1-asan
#                           blackbox-runsc blackbox-rootless attacks attacks-runsc fuzz routes faults bench
#   sh check.sh runsc       every black-box test and attack with TCI_RUNTIME=runsc; not in `all of it`, where a part is
#   sh check.sh rootless    ... and with the gateway of an ordinary user
#
# Of the languages beside Python, those are tried that cost little; TCI_TEST_LANGUAGES=all tries every one, and wants what
# `sh start.sh --with all` installs.
#
# Three trees are built and tested, apart from the one start.sh uses: build-gcc (warnings are errors),
# build-asan (gcc, AddressSanitizer and UndefinedBehaviorSanitizer) and build-check (clang, warnings are
# errors, with the fuzz targets).  Two lanes run side by side.  Logs are in build-logs/.  The last line is
# `N passed, N failed`.
set -eu
# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"

LOGS=$TOP/build-logs
RESULTS=$LOGS/results
FUZZ_SECONDS=20

# build TREE TITLE CONFIGURE-ARGUMENTS...
build() {
    tree=$1
    title=$2
    shift 2
    step "$LOGS/$tree.log" "$title" build_tree "$TOP/$tree" --enable-werror "$@" || give_up
}

build_gcc() {
    build build-gcc "Building with gcc"
}

build_asan() {
    build build-asan "Building with the sanitizers" --enable-sanitizers
}

build_check() {
    build build-check "Building with clang, with fuzz targets" CC=clang --enable-sanitizers --enable-fuzzers
}

# Without programs there is nothing to test, and the last line still says how it stands.
give_up() {
    printf '\n0 passed, 1 failed\n'
    exit 1
}

# --- the suites: each one command, and what counts its results ---

suite_lint() {
    suite lint count_last_line env TCI_BUILD_DIR="$TOP/build-gcc" sh tests/lint.sh
}

suite_unit() {
    suite unit count_make make -C "$TOP/build-gcc" -j"$(nproc)" check
}

suite_unit_asan() {
    suite unit-asan count_make make -C "$TOP/build-asan" -j"$(nproc)" check
}

suite_kernelspecs() {
    suite_pytest kernelspecs build-gcc tests/kernelspecs
}

suite_worker_asan() {
    suite_pytest worker-asan build-asan tests/worker
}

# In two, so that two lanes can share it.
suite_blackbox_asan() {
    suite_pytest blackbox-asan build-asan tests/blackbox --ignore-glob="*/test_v1_*" --ignore-glob="*/test_cli*"
}

suite_v1_asan() {
    suite_pytest v1-asan build-asan tests/blackbox/test_v1_*.py tests/blackbox/test_cli*.py
}

# The sanitizers slow a program down and line its memory up: what could depend on that is tried once more in the
# programs as they are used, as the attacks are.  `pytest tests/blackbox` with TCI_BUILD_DIR runs it all.
suite_blackbox() {
    suite_pytest blackbox build-gcc tests/blackbox/test_leaks.py
}

# Under gVisor: what is its own, and one of each kind of the rest; suite_runsc runs it all.
suite_blackbox_runsc() {
    export TCI_TEST_RUNTIME=runsc
    suite_pytest blackbox-runsc build-gcc tests/blackbox/test_runsc.py tests/blackbox/test_execute.py \
        tests/blackbox/test_lifecycle.py tests/blackbox/test_restart.py tests/blackbox/test_sandbox.py \
        tests/blackbox/test_sandbox_secrets.py tests/blackbox/test_settings.py \
        -k "test_runsc or state_across_calls or plot_with_show or output_of_a_child or multiprocessing \
        or death_of_the_worker or hang_up_interrupts or survive_an_orderly or pids_limit or workspace_is_limited \
        or cpu_limit_seen or link_cannot or link_hears"
    unset TCI_TEST_RUNTIME
}

# Started by an ordinary user: what is its own, and one of each kind of the rest, as above.  He has to come to the
# programs, which he does not where this tree is in a home that is closed.
suite_blackbox_rootless() {
    if ! setpriv --reuid=65534 --regid=65534 --clear-groups test -x "$TOP/build-gcc/gateway/tci-gateway"; then
        printf '%-7s %-17s ordinary users may not pass to %s\n' skipped blackbox-rootless "$TOP"
        return
    fi
    export TCI_TEST_ROOTLESS=1
    suite_pytest blackbox-rootless build-gcc tests/blackbox/test_rootless.py tests/blackbox/test_execute.py \
        tests/blackbox/test_lifecycle.py tests/blackbox/test_restart.py \
        -k "test_rootless or state_across_calls or plot_with_show or output_of_a_child or multiprocessing \
        or endless_loop or death_of_the_worker or hang_up_interrupts or ten_sessions or survive_an_orderly \
        or kill_while or remove_containers"
    unset TCI_TEST_ROOTLESS
}

suite_attacks() {
    suite_pytest attacks build-gcc tests/attacks
}

# Under gVisor, the attacks from inside that are about its own work; suite_runsc runs the others, too.
suite_attacks_runsc() {
    export TCI_TEST_RUNTIME=runsc
    suite_pytest attacks-runsc build-gcc -m runsc tests/attacks/test_host.py tests/attacks/test_privileges.py \
        tests/attacks/test_network.py tests/attacks/test_files.py::test_symbolic_links
    unset TCI_TEST_RUNTIME
}

# What is skipped is at the end of the logs, with the reason.
suite_runsc() {
    export TCI_TEST_RUNTIME=runsc
    suite runsc-unit count_make make -C "$TOP/build-gcc" check \
        TESTS="tests/unit/test_runtime tests/unit/test_runtime_limits tests/unit/test_runtime_sandbox"
    suite_pytest runsc-blackbox build-gcc tests/blackbox
    suite_pytest runsc-attacks build-gcc tests/attacks
    unset TCI_TEST_RUNTIME
}

suite_rootless() {
    export TCI_TEST_ROOTLESS=1
    suite_pytest rootless-blackbox build-gcc tests/blackbox
    suite_pytest rootless-attacks build-gcc tests/attacks
    unset TCI_TEST_ROOTLESS
}

suite_fuzz() {
    suite fuzz count_last_line env TCI_BUILD_DIR="$TOP/build-check" sh tests/fuzz/run.sh "$FUZZ_SECONDS"
}

# Every route of /v1, by what openapi.json says of it.
suite_routes() {
    suite routes count_last_line env TCI_BUILD_DIR="$TOP/build-asan" TCI_TEST_SLACK=2 \
        /usr/bin/python3 -B tests/fuzz/routes.py --seconds "$FUZZ_SECONDS"
}

# Each fault once, under the load of 20 users.  On a machine of its own it takes about 90 seconds.
suite_faults() {
    suite faults count_last_line env TCI_BUILD_DIR="$TOP/build-gcc" TCI_TEST_SLACK=2 \
        /usr/bin/python3 -B tests/faults/run --seed 1 --log "$LOGS/faults-gateway.log"
}

# That the benchmarks get right answers to the end, where they print their tables.  The figures mean nothing on a
# machine this busy, so a missed one is no failure here.
suite_bench() {
    # shellcheck disable=SC2016 # expanded by the inner shell
    suite bench count_whole env TCI_BUILD_DIR="$TOP/build-gcc" TCI_TEST_SLACK=2 \
        sh -c 'for bench in "run --quick" "rl --quick" "files 64"; do
            rows=$(/usr/bin/python3 -B bench/$bench | grep -E "^(ok|MISS|FAILED) ") || exit 1
            echo "$rows"
            case $rows in *FAILED*) exit 1 ;; esac
        done'
}

# The longest first, and at the end those that mind what runs beside them.
ALL_SUITES="blackbox-asan lint v1-asan unit unit-asan kernelspecs worker-asan attacks fuzz routes blackbox
    blackbox-runsc attacks-runsc blackbox-rootless faults bench"

# Whatever no other lane has begun.
lane() {
    for name in $ALL_SUITES; do
        mkdir "$LOGS/begun/$name" 2>/dev/null || continue
        run_suite "$name"
    done
}

# --- running a suite ---

# suite_pytest NAME TREE ARGUMENTS... - with Debian's Python, which has the packages, whatever PATH says.  The
# few figures that tests assert are for a quiet machine; with two lanes on it, it is not.
suite_pytest() {
    name=$1
    tree=$2
    shift 2
    suite "$name" count_pytest env TCI_BUILD_DIR="$TOP/$tree" TCI_TEST_SLACK=2 \
        /usr/bin/python3 -B -m pytest -p no:cacheprovider --color=no -q --durations=10 "$@"
}

run_suite() {
    "suite_$(printf '%s' "$1" | tr - _)"
}

# suite NAME COUNTER COMMAND... - runs it into its log, says in one line how it went, and notes the counts.
# A shell in the background ignores SIGINT and its children would, too: among them kernels, which
# are interrupted by just that.
suite() {
    name=$1
    counter=$2
    shift 2
    log=$LOGS/$name.log
    begun=$(date +%s)
    status=0
    env --default-signal=INT --default-signal=QUIT "$@" >"$log" 2>&1 </dev/null || status=$?
    seconds=$(($(date +%s) - begun))
    counts=$("$counter" "$log") || counts="0 0"
    passed=${counts% *}
    failed=${counts#* }
    # A suite that stopped half-way, or ran nothing, has not passed, whatever it counted.
    [ "$status" -eq 0 ] || [ "$failed" -gt 0 ] || failed=1
    [ $((passed + failed)) -gt 0 ] || failed=1
    printf '%s %d %d\n' "$name" "$passed" "$failed" >>"$RESULTS"
    word=ok
    [ "$failed" -eq 0 ] || word=FAILED
    printf '%-7s %-17s %4d passed, %d failed (%d s)\n' "$word" "$name" "$passed" "$failed" "$seconds"
}

# A command that passes or fails as a whole.
count_whole() {
    [ "$status" -ne 0 ] && echo 0 1 || echo 1 0
}

# `N passed, N failed` as the last line that looks like it.
count_last_line() {
    sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed.*/\1 \2/p' "$1" | tail -n 1 | grep .
}

# Automake's summary; a program that could not be run is an ERROR there.
count_make() {
    awk '/^# PASS:/ { pass += $3 } /^# (FAIL|ERROR|XPASS):/ { fail += $3 } END { print pass + 0, fail + 0 }' "$1"
}

# pytest's last line: 12 passed, 1 skipped in 3.45s
count_pytest() {
    tail -n 1 "$1" | awk '{
        for (i = 2; i <= NF; i++) {
            if ($i ~ /^passed/) pass = $(i - 1)
            if ($i ~ /^(failed|errors?)/) fail += $(i - 1)
        }
        print pass + 0, fail + 0
    }'
}

# Reports of programs whose exit status nobody looked at.
look_for_reports() {
    reports=$(find "$LOGS/sanitizer" -type f | wc -l)
    [ "$reports" -gt 0 ] || return 0
    cat "$LOGS"/sanitizer/* >"$LOGS/sanitizer.log"
    printf 'sanitizer 0 %d\n' "$reports" >>"$RESULTS"
    printf '%-7s %-17s %d reports\n' FAILED sanitizer "$reports"
}

show_failures() {
    while read -r name _ failed; do
        [ "$failed" -eq 0 ] || show_failure "$LOGS/$name.log"
    done <"$RESULTS"
}

show_failure() {
    printf '\n--- %s, what went wrong and its end\n' "$1"
    grep -E '^(E   |____|FAILED|ERROR)' "$1" | cut -c 1-400 | head -n 100 || true
    grep -v '^SKIPPED' "$1" | tail -n 150
}

run_lanes() {
    mkdir "$LOGS/begun"
    lane &
    one=$!
    lane &
    two=$!
    # The suites get Ctrl-C themselves; the lanes must not go on to the next one.
    trap 'kill $one $two 2>/dev/null; exit 130' INT TERM
    wait "$one" "$two"
    trap - INT TERM
}

run_all() {
    build_gcc
    build_asan
    build_check
    run_lanes
}

# Builds no more than the named suites need.
run_some() {
    for name; do
        case $name in
        lint | unit | kernelspecs | blackbox | blackbox-runsc | blackbox-rootless | attacks | attacks-runsc | runsc | rootless | faults | bench) build_gcc ;;
        unit-asan | worker-asan | blackbox-asan | v1-asan | routes) build_asan ;;
        fuzz) build_check ;;
        *) die "there is no suite named $name" ;;
        esac
    done
    for name; do
        run_suite "$name"
    done
}

prepare_logs() {
    mkdir -p "$LOGS"
    rm -rf "$LOGS/sanitizer" "$LOGS/begun" "$RESULTS"
    mkdir "$LOGS/sanitizer"
    : >"$RESULTS"
    export ASAN_OPTIONS="log_path=$LOGS/sanitizer/report:detect_leaks=1:strict_string_checks=1"
    export UBSAN_OPTIONS="log_path=$LOGS/sanitizer/report:print_stacktrace=1"
}

cd "$TOP"
[ "$(id -u)" -eq 0 ] || die "the tests make containers: run this as root (sudo sh check.sh)"
# shellcheck disable=SC2086 # lists of words
(install_packages $PACKAGES_RUN $PACKAGES_RUNSC $PACKAGES_ROOTLESS $PACKAGES_BUILD $PACKAGES_CHECK) || give_up
prepare_logs
if [ $# -gt 0 ]; then
    run_some "$@"
else
    run_all
fi
look_for_reports
show_failures
awk '{ pass += $2; fail += $3 } END { printf "\n%d passed, %d failed\n", pass, fail; exit (fail > 0) }' "$RESULTS"
