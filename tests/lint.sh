#!/bin/sh
# lint.sh - looks at the sources without running them: format, clang-tidy, cppcheck, shellcheck, the
# project's own checks (tests/check-*.sh).  Prints every finding, then `N passed, N failed`.
#
#   sh tests/lint.sh            all of it
#   sh tests/lint.sh format     one of: format tidy cppcheck shell own
#
# clang-tidy compiles with the flags of the build tree, TCI_BUILD_DIR or build.  It takes most of the time: with
# TCI_LINT_SINCE=REVISION it looks only at sources that differ from that.
set -eu
cd "$(dirname "$0")/.."

PASSED=0
FAILED=0
TREE=${TCI_BUILD_DIR:-build}
[ $# -gt 0 ] || set -- format tidy cppcheck shell own

c_files() {
    find gateway worker proxy cli kernel bench tests -name '*.[ch]' | sort
}

c_sources() {
    find gateway worker proxy cli kernel bench tests -name '*.c' | sort
}

changed_sources() {
    if [ -n "${TCI_LINT_SINCE:-}" ]; then
        { git diff --name-only "$TCI_LINT_SINCE" && git ls-files --others --exclude-standard; } | sort | comm -12 - "$1"
    else
        cat "$1"
    fi
}

scripts() {
    find . -maxdepth 1 -name '*.sh'
    find tests bench docker examples systemd -name '*.sh' 2>/dev/null
    grep -rlI '^#!.*sh$' .ci bench tests --include=run --include='[a-z]*' --exclude='*.*' 2>/dev/null
}

# each COMMAND... - runs COMMAND for every file named on standard input, which FILE in it stands for; on
# all cores, with one output at a time and that only of those that fail.
each() {
    # shellcheck disable=SC2016 # expanded by the inner shell
    xargs -P "$(nproc)" -I FILE sh -c 'out=$("$@" 2>&1) || { printf "%s\n" "$out" | grep -v "warnings* generated"; exit 1; }' sh "$@"
}

# One line for a file: the formatter itself says what it would like to see, clang-format -i.
check_format() {
    # shellcheck disable=SC2016 # expanded by the inner shell
    c_files | each sh -c 'clang-format --dry-run -Werror "$1" 2>/dev/null || {
        printf "%s is not formatted: clang-format -i %s\n" "$1" "$1"; exit 1; }' sh FILE
}

# The flags of a configured tree, quoted for a shell.
build_flags() {
    # shellcheck disable=SC2016 # expanded by make
    make -s --no-print-directory -C "$TREE" --eval 'lint-flags: ; $(info $(DEFS) $(AM_CPPFLAGS) $(AM_CFLAGS) \
        $(foreach library,ZMQ JANSSON EVENT SSL SODIUM SQLITE INIH CMOCKA,$($(library)_CFLAGS))) @:' lint-flags
}

check_tidy() {
    [ -e "$TREE/Makefile" ] || { printf 'no configured tree at %s\n' "$TREE"; return 1; }
    # The paths in the flags start from the tree.  A third of the steps that the analyzer would take in one function: it has
    # found nothing in the others, and they are half of its time.
    eval "set -- $(build_flags) -I. -Igateway -Xclang -analyzer-config -Xclang max-nodes=75000"
    c_sources >"$TREE/lint-sources"
    changed_sources "$TREE/lint-sources" | each clang-tidy --quiet FILE -- "$@"
}

# It reads no system header, so it is given the one whose macros are control flow.  uninitvar cannot
# follow those macros; clang's analyzer and the sanitizers look for the same.
check_cppcheck() {
    # The tests include some sources whole, which says everything twice; they are seen by clang-tidy.
    set -- gateway worker proxy cli kernel
    [ -z "$(find bench -name '*.c')" ] || set -- "$@" bench
    cppcheck --quiet --error-exitcode=1 -j "$(nproc)" --std=c11 --inline-suppr \
        --enable=warning,performance,portability --suppress=uninitvar \
        --include=/usr/include/utlist.h -I. -Igateway "$@"
}

check_shell() {
    # shellcheck disable=SC2046 # a list of words
    shellcheck -x $(scripts)
}

own_checks() {
    find tests -maxdepth 1 -name 'check-*.sh' | sort
}

lint() {
    name=$1
    shift
    if "$@"; then
        PASSED=$((PASSED + 1))
        printf 'ok      %s\n' "$name"
    else
        FAILED=$((FAILED + 1))
        printf 'FAILED  %s\n' "$name"
    fi
}

for part; do
    case $part in
    format | tidy | cppcheck | shell) lint "$part" "check_$part" ;;
    own)
        for check in $(own_checks); do
            lint "$check" sh "$check"
        done
        ;;
    *)
        printf 'there is no check named %s\n' "$part" >&2
        exit 2
        ;;
    esac
done

printf '%d passed, %d failed\n' "$PASSED" "$FAILED"
[ "$FAILED" -eq 0 ]
