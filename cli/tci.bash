# tci.bash - completion of tci for bash; its words are those of --help, which tests/blackbox/test_cli.py sees to.
# shellcheck shell=bash disable=SC2207

_tci_sessions() {
    tci sessions 2>/dev/null | tail -n +2 | cut -d ' ' -f 1
}

_tci_kernels() {
    tci kernels 2>/dev/null | awk -v n="$1" 'NR > 1 { print $n }' | sort -u
}

_tci_words() {
    local place="--url --token --ca-file --state-dir --help"
    local session="--session --language --kernel"
    case $1 in
    exec) echo "--code $session --timeout --images --json $place" ;;
    run) echo "$session --timeout --images --json $place" ;;
    repl) echo "$session --timeout --images $place" ;;
    sessions) echo "list show create delete $session --json $place" ;;
    kernels | status) echo "--json $place" ;;
    token) echo "$place" ;;
    keys) echo "create list revoke --name --expires --rate --sessions --state-dir --help" ;;
    *) echo "exec run repl sessions kernels status token keys --help --version" ;;
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
        if [ "$command" = run ] && [[ $word != -* ]]; then
            COMPREPLY+=($(compgen -f -- "$word"))
        fi
        ;;
    esac
}

complete -o filenames -F _tci tci
