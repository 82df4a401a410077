#!/bin/sh
# check-includes.sh - includes point down the list of modules in ARCHITECTURE.md, never up.
#
# The list is the fenced blocks that begin with ```modules.  A line has a module, and after at least two spaces
# what it does.  Indented lines are parts of the module above them; together they may include each other:
#
#     gateway/runtime         containers
#       gateway/runtime_crun  the driver that runs crun
#     gateway/child           a helper program
#
# A module is all files of that name but for the suffix.  Every file of a directory that occurs in the list must be
# of a listed module, and every listed module must have a file.  Of another directory, only worker/protocol.h,
# worker/framing.h, worker/pathrule.h and worker/bigendian.h may be included.
set -eu
cd "$(dirname "$0")/.."

LIST=${1:-ARCHITECTURE.md}
[ -r "$LIST" ] || {
    printf '%s is missing\n' "$LIST"
    exit 1
}

# Prints "module NAME RANK" for each module in the list.
modules() {
    awk '
        /^```modules$/ { open = 1; next }
        /^```/ { open = 0 }
        !open || !/^ *[a-z]/ { next }
        /^[a-z]/ { rank++ }
        { print "module", $1, rank }' "$LIST"
}

# Prints "file FILE" and, for each include with quotes in it, "include FILE INCLUDED".
includes() {
    for directory in $(modules | sed 's/^module //; s|/.*||' | sort -u); do
        for file in "$directory"/*.[ch]; do
            printf 'file %s\n' "$file"
            sed -n "s|^# *include \"\([^\"]*\)\".*|include $file \1|p" "$file"
        done
    done
}

{
    modules
    includes
} | awk '
    function complain(text) {
        print text
        failed = 1
    }
    function directory_of(path) {
        sub(/\/[^\/]*$/, "", path)
        return path
    }
    function module_of(path) {
        sub(/\.[ch]$/, "", path)
        return path
    }
    function check_include(file, included) {
        if (included !~ /\//)
            included = directory_of(file) "/" included
        if (included ~ /^worker\/(protocol|framing|pathrule|bigendian)\.h$/ && directory_of(file) != "worker")
            return
        if (directory_of(included) != directory_of(file))
            complain(file " includes " included " of another program")
        else if (!(module_of(included) in rank))
            complain(file " includes " included ", which is not in the list of modules")
        else if (rank[module_of(included)] < rank[module_of(file)])
            complain(file " includes " included ", which stands above it")
    }
    $1 == "module" {
        rank[$2] = $3
    }
    $1 == "file" {
        present[module_of($2)] = 1
        if (!(module_of($2) in rank))
            complain($2 " is not in the list of modules")
    }
    $1 == "include" && module_of($2) in rank {
        check_include($2, $3)
    }
    END {
        for (module in rank)
            if (!(module in present))
                complain(module " is in the list of modules and has no file")
        if (length(rank) == 0)
            complain("there is no list of modules")
        exit failed
    }'
