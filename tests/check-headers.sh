#!/bin/sh
# check-headers.sh - every header compiles by itself, so that no file depends on what another includes first.
set -eu
cd "$(dirname "$0")/.."

CC=${CC:-gcc}
PARTS="libzmq jansson libevent_core libevent_extra libevent_openssl openssl libsodium sqlite3 libcurl libedit inih cmocka"
FLAGS="-std=gnu17 -D_GNU_SOURCE -Wall -Wextra -Werror -fsyntax-only -I. -Igateway $(pkg-config --cflags "$PARTS")"

status=0
for header in $(find gateway worker proxy cli bench tests -name '*.h' | sort); do
    # shellcheck disable=SC2086 # a list of words
    printf '#include "%s"\n' "$header" | $CC $FLAGS -x c - || {
        printf '%s does not compile by itself\n' "$header"
        status=1
    }
done
exit "$status"
