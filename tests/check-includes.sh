#!/bin/sh
# check-includes.sh - includes point down the list of modules in ARCHITECTURE.md, never up.
#
# The list is a fenced block for each directory.  Its first line says which directory it is of, "gateway" if it
# names none; each line after that has one or more modules and what they do:
#
#     modules of gateway, top to bottom:
#       server            what it does, after at least two spaces
#                         (deeper lines go on with the one above)
#       --- a headline ---
#       api, body         modules on one line are beside each other and may include each other
#       protocol.h        a header alone may be given with its suffix
#
# A module is NAME.c and NAME.h.  Every file of the directory must be of a listed module and every listed module
# must have a file.  Of another directory, only worker/protocol.h may be included.  main.c is the top and need not
# be listed.
set -eu
cd "$(dirname "$0")/.."

LIST=${1:-ARCHITECTURE.md}
[ -r "$LIST" ] || {
    printf '%s is missing\n' "$LIST"
    exit 1
}

# Prints "DIRECTORY LINE MODULE" for each module in the list.
modules() {
    awk '
        /^ *modules( of [a-z]+)?, top to bottom:$/ {
            directory = /modules of/ ? $3 : "gateway"
            sub(/,$/, "", directory)
            open = 1
            indent = -1
            next
        }
        /^ *```/ { open = 0 }
        !open || /^ *$/ || /^ *---/ { next }
        {
            match($0, /^ */)
            if (indent < 0)
                indent = RLENGTH
            if (RLENGTH > indent)
                next
            sub(/^ +/, "")
            sub(/  .*$/, "")
            n = split($0, names, /, */)
            for (i = 1; i <= n; i++) {
                sub(/\.[ch]$/, "", names[i])
                print directory, NR, names[i]
            }
        }' "$LIST"
}

# Prints "FILE INCLUDED" for each include with quotes in the files of the listed directories.
includes() {
    for directory in $(modules | cut -d ' ' -f 1 | sort -u); do
        for file in "$directory"/*.[ch]; do
            printf '%s -\n' "$file"
            sed -n "s|^#include \"\([^\"]*\)\".*|$file \1|p" "$file"
        done
    done
}

{
    modules | sed 's/^/module /'
    includes | sed 's/^/include /'
} | awk '
    function module_of(path) {
        sub(/.*\//, "", path)
        sub(/\.[ch]$/, "", path)
        return path
    }
    function complain(text) {
        print text
        failed = 1
    }
    $1 == "module" {
        rank[$2 "/" $4] = $3
        next
    }
    {
        directory = $2
        sub(/\/.*/, "", directory)
        from = directory "/" module_of($2)
        if (from == directory "/main")
            rank[from] = 0
        present[from] = 1
        if (!(from in rank)) {
            if (!(from in unlisted))
                complain($2 " is not in the list of modules")
            unlisted[from] = 1
        }
    }
    $3 == "-" || !(from in rank) { next }
    {
        if ($3 == "worker/protocol.h" && directory != "worker")
            next
        if ($3 ~ /\// && $3 !~ "^" directory "/") {
            complain($2 " includes " $3 ", which is another program'"'"'s")
            next
        }
        to = directory "/" module_of($3)
        if (to in rank && rank[to] < rank[from])
            complain($2 " includes " $3 ", which is above it")
        if (!(to in rank))
            complain($2 " includes " $3 ", which is not in the list of modules")
    }
    END {
        for (module in rank)
            if (!(module in present))
                complain(module " is in the list of modules and has no file")
        if (length(rank) == 0)
            complain("there is no list of modules")
        exit failed
    }'
