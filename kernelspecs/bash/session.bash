# session.bash - start-up file of the bash that a session's cells share: kernel/session.h says how it is spoken to.
#
# It is an interactive one, because that alone outlives an interrupt, and has no terminal, so that there is neither line
# editing nor job control: background jobs ignore interrupts, as in any script.  Its complaints of that were sent to
# /dev/null; descriptor 3 is where errors really go.

exec 2>&3 3>&-
set +o histexpand +o history
PS1= PS2=
_tci_status=$TCI_STATUS
unset TCI_STATUS

_tci_return() {
    return "$1"
}

# What the next shell takes over, when this one ends by `exit` or `set -e`.
_tci_keep() {
    {
        builtin shopt -p # first, because of functions with patterns of extglob
        builtin declare -p
        builtin declare -f
        builtin alias -p
        builtin printf 'cd -- %q\n' "$PWD"
        builtin set +o
    } >"$_tci_status.kept" 2>/dev/null
}
trap _tci_keep EXIT

# Without the word that an interactive shell says then.
exit() {
    builtin exit "$@" 2>/dev/null
}

# Completions of the last word of a file.
_tci_complete() {
    local text word line
    text=$(<"$1")
    word=${text##*[[:space:]\"\'\`=:;|&()<>]}
    line=${text%"$word"}
    line=${line##*$'\n'}
    line=${line%"${line##*[![:space:]]}"}
    {
        printf 'word %d\n' "${#word}"
        case $word in
        '$'*) compgen -P '$' -v -- "${word#?}" ;;
        */*) compgen -f -- "$word" ;;
        *)
            case $line in
            '' | *[\;\|\&\(\`]) compgen -c -- "$word" ;;
            esac
            compgen -f -- "$word"
            ;;
        esac | sort -u | sed 's/^/match /'
    } >"$_tci_status" 2>/dev/null
    return "$_tci_last"
}

if [[ -e $_tci_status.kept ]]; then
    {
        /bin/rm -f "$_tci_status.kept" # before there is the user's `set -e`
        . /dev/fd/9
    } 9<"$_tci_status.kept" 2>/dev/null
fi
_tci_number=0
_tci_last=0

# Before each prompt, also the one after an interrupt.  What a user does to his shell must not keep it from being said.
[[ ${PROMPT_COMMAND@a} == *r* ]] || readonly PROMPT_COMMAND='{
    _tci_last=$? _tci_flags=$-
    set +x
    \builtin printf "exit %d %d\n" "$_tci_number" "$_tci_last" >"$_tci_status"
    PS1= PS2=
    case $_tci_flags in *x*) set -x ;; esac
} 2>/dev/null' # a shell that took over has it already
