#!/bin/sh
# check-options.sh - the settings are the same everywhere: in README.md's table, in --help, in gateway/config.h.
# Results as TAP; the gateway is that of TCI_BUILD_DIR, else of the current directory, else of build/.
set -u

top=$(cd "$(dirname "$0")/.." && pwd)
failed=0
n=0

# result STATUS TITLE
result() {
    n=$((n + 1))
    if [ "$1" -eq 0 ]; then
        echo "ok $n - $2"
    else
        echo "not ok $n - $2"
        failed=1
    fi
}

find_gateway() {
    for dir in "${TCI_BUILD_DIR:-.}" . "$top/build"; do
        if [ -x "$dir/gateway/tci-gateway" ]; then
            echo "$dir/gateway/tci-gateway"
            return
        fi
    done
    echo "Bail out! no gateway/tci-gateway: build first, or set TCI_BUILD_DIR"
    exit 1
}

# The table between README.md's marks.
readme_table() {
    sed -n '/^<!-- settings -->$/,/^<!-- \/settings -->$/p' "$top/README.md" | grep '^|'
}

# The members of struct config that are settings, as in the file: exec_timeout.
config_fields() {
    sed -n '/^struct config {$/,/command line only/p' "$top/gateway/config.h" |
        sed -n 's|/\*.*||; s/;.*//; /^    /{ s/^    \(enum \)\{0,1\}[a-z_]* //; s/[*,]/ /g; p; }' |
        tr ' ' '\n' | grep -v -e '^$' -e '^config_file$'
}

gateway=$(find_gateway) || { echo "$gateway"; exit 1; }
table=$("$gateway" --help-markdown) || { echo "Bail out! --help-markdown failed"; exit 1; }
help=$("$gateway" --help) || { echo "Bail out! --help failed"; exit 1; }
# shellcheck disable=SC2016 # the backquotes are the table's
names=$(printf '%s\n' "$table" | sed -n 's/^| `TCI_\([A-Z_]*\)`.*/\1/p' | tr 'A-Z_' 'a-z-')
documented=$(readme_table)

echo 1..4
[ "$documented" = "$table" ]
result $? "README.md has the table of --help-markdown"
[ "$documented" = "$table" ] || echo "# between its marks <!-- settings --> and <!-- /settings -->, paste the output of --help-markdown"

status=0
for name in $names; do
    printf '%s\n' "$help" | grep -q "^  --$name VALUE" || { echo "# not in --help: --$name"; status=1; }
done
[ -n "$names" ] || status=1
result $status "--help has every setting"

[ "$(config_fields | tr '_' '-' | sort)" = "$(printf '%s\n' "$names" | sort)" ]
result $? "every member of struct config is a setting and the other way round"

status=0
for option in --config --help --help-markdown --remove-containers --version; do
    printf '%s\n' "$help" | grep -q "^  $option\( \|\$\)" || { echo "# not in --help: $option"; status=1; }
done
result $status "--help has every other option"

exit $failed
