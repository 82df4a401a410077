#!/bin/sh
# run.sh - builds the fuzz targets with clang and the sanitizers, and runs each for some time, as many at once
# as there are cores.  Prints `N passed, N failed` and fails on any finding.
#
#   sh tests/fuzz/run.sh [SECONDS [TARGET...]]      60 seconds, all targets
#
# The build is in TCI_BUILD_DIR (build-check).  What libFuzzer learns is kept there for the next run, in
# fuzz/corpus; inputs that fail are in fuzz/findings, and `tests/fuzz/fuzz_TARGET FILE` there runs one again.
set -eu
# shellcheck source=common.sh
. "$(dirname "$0")/../../common.sh"

SECONDS_EACH=${1:-60}
[ $# -eq 0 ] || shift
BUILD=${TCI_BUILD_DIR:-$TOP/build-check}
WORK=$BUILD/fuzz
MAX_LEN=20000   # bytes of an input
MAX_MEMORY=1024 # MiB

all_targets() {
    (cd "$TOP/tests/fuzz" && ls fuzz_*.c) | sed 's/^fuzz_\(.*\)\.c$/\1/'
}

# The arguments are check.sh's, whose tree this is.
build() {
    build_tree "$BUILD" --enable-werror CC=clang --enable-sanitizers --enable-fuzzers
}

# The line at the end is what this run says of a target; the log says why.
fuzz() {
    target=$1
    learnt=$WORK/corpus/$target
    log=$WORK/$target.log
    mkdir -p "$learnt"
    if "$BUILD/tests/fuzz/fuzz_$target" -max_total_time="$SECONDS_EACH" -max_len="$MAX_LEN" \
        -rss_limit_mb="$MAX_MEMORY" -timeout=10 -print_final_stats=1 \
        -artifact_prefix="$WORK/findings/$target-" \
        "$learnt" "$TOP/tests/fuzz/corpus/$target" >"$log" 2>&1; then
        printf 'ok      %s, %s inputs\n' "$target" \
            "$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")"
    else
        tail -n 60 "$log"
        printf 'FAILED  %s\n' "$target"
    fi
}

step "$TOP/build-logs/fuzz-build.log" "Building the fuzz targets" build
mkdir -p "$WORK/findings"
[ $# -gt 0 ] || {
    # shellcheck disable=SC2046 # a list of words
    set -- $(all_targets)
}
results=$WORK/results
: >"$results"
running=0
for target; do
    fuzz "$target" >"$WORK/$target.result" &
    running=$((running + 1))
    if [ "$running" -ge "$(nproc)" ]; then
        wait
        running=0
    fi
done
wait
for target; do
    cat "$WORK/$target.result"
done | tee "$results"
failed=$(grep -c '^FAILED ' "$results" || true)
printf '%d passed, %d failed\n' $(($# - failed)) "$failed"
[ "$failed" -eq 0 ]
