# tci.bash - completion of tci for bash; its words are those of --help, which tests/blackbox/test_cli.py sees to.
# shellcheck shell=bash disable=SC2207

_tci_sessions() {
    tci sessions 2>/dev/null | tail -n +2 | cut -d ' ' -f 1
}

_tci_kernels() {
    tci kernels 2>/dev/null | awk -v n="$1" 'NR > 1 { print $n }' | sort -u
}

# Of the names on stdin, a line for each, those that begin with the word.  compgen -W would have the shell expand them, and they are
# anybody's.
_tci_offer() {
    local name
    while IFS= read -r name; do
        [[ $name != "$1"* ]] || COMPREPLY+=("$name")
    done
}

# What a session has in the directory that the word begins with.
_tci_files() {
    local id="" i directory=""
    for ((i = 1; i < ${#words[@]} - 1; i++)); do
        case ${words[i]} in
        --session | -s) id=${words[i + 1]} ;;
        esac
    done
    case $1 in
    */*) directory=${1%/*} ;;
    esac
    [ -n "$id" ] || return
    _tci_offer "$1" < <(tci files -s "$id" ls ${directory:+"$directory"} 2>/dev/null | sed 's/^ *[0-9]*  [^ ]*  //; s/ -> .*//')
}

# The words up to the cursor, as they were before bash broke them at : and @, which ids may have.  kept: what is to be left of the
# last one by its completion, which takes the place of what comes after the break only, and of an @ there.
_tci_rejoin() {
    local i rest=$COMP_LINE gap part broken=
    words=() kept=
    for ((i = 0; i <= COMP_CWORD; i++)); do
        part=${COMP_WORDS[i]}
        gap=${rest%%[![:space:]]*}
        rest=${rest#"$gap"}
        rest=${rest#"$part"}
        if [[ $i -gt 0 && -z $gap && ($broken || $part == [:@]*) ]]; then
            kept=${words[-1]}
            words[-1]+=$part
        else
            kept=
            words+=("$part")
        fi
        broken=
        if [[ $part == [:@]* && $part != *[!:@]* ]]; then
            broken=1 kept=${words[-1]}
        fi
    done
    kept=${kept%@}
}

_tci_verb() {
    local i
    for ((i = 2; i < ${#words[@]} - 1; i++)); do
        case ${words[i]} in
        ls | get | put | rm | mkdir | mv) echo "${words[i]}" && return ;;
        esac
    done
}

_tci_words() {
    local place="--url --token --ca-file --state-dir --help"
    local session="--session --language --kernel"
    case $1 in
    exec) echo "--code $session --timeout --images --json $place" ;;
    files) echo "ls get put rm mkdir mv --session --recursive --force --quiet --json $place" ;;
    run) echo "$session --timeout --images --json $place" ;;
    repl) echo "$session --timeout --images --quiet --json $place" ;;
    sessions) echo "list show create delete $session --json $place" ;;
    packages) echo "--session --quiet --json $place" ;;
    kernels | status) echo "--json $place" ;;
    token) echo "--json $place" ;;
    keys) echo "create list revoke --name --expires --rate --sessions --json --state-dir --help" ;;
    *) echo "exec run repl sessions files packages kernels status token keys --help --version" ;;
    esac
}

_tci() {
    local words kept word before command=
    _tci_rejoin
    word=${words[-1]//\\/} before=${words[-2]} # bash has escaped what it completed
    [ "${#words[@]}" -le 2 ] || command=${words[1]}
    COMPREPLY=()
    case $before in
    --session | -s | show | delete) _tci_offer "$word" < <(_tci_sessions) ;;
    --kernel) _tci_offer "$word" < <(_tci_kernels 1) ;;
    --language | -l) _tci_offer "$word" < <(_tci_kernels 2) ;;
    --images | --state-dir) COMPREPLY=($(compgen -d -- "$word")) ;;
    --ca-file) COMPREPLY=($(compgen -f -- "$word")) ;;
    --url | --token | --code | -c | --timeout | --name | --expires | --rate | --sessions) ;;
    *)
        COMPREPLY=($(compgen -W "$(_tci_words "$command")" -- "$word"))
        if [[ $word != -* ]]; then
            case $command:$(_tci_verb) in
            run:* | files:put) COMPREPLY+=($(compgen -f -- "$word")) ;;
            files:?*) _tci_files "$word" ;;
            esac
        fi
        ;;
    esac
    COMPREPLY=("${COMPREPLY[@]#"$kept"}")
}

complete -o filenames -F _tci tci
