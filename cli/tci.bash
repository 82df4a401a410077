# tci.bash - completion of tci for bash; its words are those of --help, which tests/blackbox/test_cli.py sees to.
# shellcheck shell=bash disable=SC2207

_tci_sessions() {
    tci sessions 2>/dev/null | tail -n +2 | cut -d ' ' -f 1
}

_tci_kernels() {
    tci kernels 2>/dev/null | awk -v n="$1" 'NR > 1 { print $n }' | sort -u
}

# What a session has in the directory that the word begins with.  compgen -W would have the shell expand such names, which are
# anybody's.
_tci_files() {
    local id="" i directory=""
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
        --session | -s) id=${COMP_WORDS[i + 1]} ;;
        esac
    done
    case $1 in
    */*) directory=${1%/*} ;;
    esac
    [ -n "$id" ] || return
    while IFS= read -r i; do
        [[ $i != "$1"* ]] || COMPREPLY+=("$i")
    done < <(tci files -s "$id" ls ${directory:+"$directory"} 2>/dev/null | sed 's/^ *[0-9]*  [^ ]*  //; s/ -> .*//')
}

_tci_verb() {
    local i
    for ((i = 2; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
        ls | get | put | rm | mkdir | mv) echo "${COMP_WORDS[i]}" && return ;;
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
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} command=
    [ "$COMP_CWORD" -le 1 ] || command=${COMP_WORDS[1]}
    COMPREPLY=()
    case $before in
    --session | -s | show | delete) COMPREPLY=($(compgen -W "$(_tci_sessions)" -- "$word")) ;;
    --kernel) COMPREPLY=($(compgen -W "$(_tci_kernels 1)" -- "$word")) ;;
    --language | -l) COMPREPLY=($(compgen -W "$(_tci_kernels 2)" -- "$word")) ;;
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
}

complete -o filenames -F _tci tci
