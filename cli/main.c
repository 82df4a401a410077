/* main.c - tci: the command line of The Code Interpreter, one command after another in a table. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sodium.h>

#include "command.h"
#include "files.h"
#include "graphics.h"
#include "interrupt.h"
#include "keys.h"
#include "outlet.h"
#include "packages.h"
#include "remote.h"
#include "repl.h"
#include "run.h"
#include "width.h"

static const struct command commands[] = {
    {"exec", exec_command, "run code"},
    {"run", run_command, "run a file"},
    {"repl", repl_command, "a conversation with a session"},
    {"sessions", sessions_command, "list, show, create and delete sessions"},
    {"files", files_command, "list, fetch, send, move and delete a session's files"},
    {"packages", packages_command, "have packages installed in a session"},
    {"kernels", kernels_command, "what languages there are"},
    {"status", status_command, "how the server is"},
    {"token", token_command, "print the token of the gateway on this machine"},
    {"keys", keys_command, "make, list and revoke API keys"},
};
#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void
print_usage(FILE *out)
{
    fputs("Usage: tci COMMAND [OPTION]...\n\nCommands:\n", out);
    for (size_t i = 0; i < N_COMMANDS; i++)
        fprintf(out, "  %-12s  %s\n", commands[i].name, commands[i].summary);
    fputs("\n'tci COMMAND --help' tells more; --version says which tci this is.\n"
          "Exit status: 0 done, 1 not done, 2 wrong usage; with a server 3 to 5 and 130, see "
          "tci(1).\n",
          out);
}

static enum exit_status
run(const char *name, int argc, char *argv[])
{
    for (size_t i = 0; i < N_COMMANDS; i++)
        if (strcmp(commands[i].name, name) == 0)
            return commands[i].run(argc, argv);
    fprintf(stderr, "tci: there is no command \"%.40s\"\nTry 'tci --help'.\n", name);
    return STATUS_USAGE;
}

/* What was to end at the server has: so SIGPIPE, which the shell knows, does what it would have done at first. */
static void
end_as_pipe(void)
{
    if (!interrupt_was_pipe())
        return;
    signal(SIGPIPE, SIG_DFL);
    raise(SIGPIPE);
}

/* A file or socket of ours in the place of one that is closed would be taken for it: reading or writing those goes on to fail. */
static void
fill_closed_streams(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0)
            (void)!open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

/* What was printed may be a key that nobody can get a second time. */
static enum exit_status
flush(enum exit_status status)
{
    if (outlet_error())
        fprintf(stderr, "tci: cannot write: %s\n", strerror(outlet_error()));
    else if (fflush(stdout) < 0)
        perror("tci: cannot write");
    else if (ferror(stdout))
        fputs("tci: cannot write all of it\n", stderr); /* nobody knows any more why */
    else
        return outlet_was_cut() && interrupt_is_final() ? STATUS_INTERRUPTED : status;
    return STATUS_FAILED;
}

int
main(int argc, char *argv[])
{
    enum exit_status status;

    fill_closed_streams();
    if (sodium_init() < 0) {
        fputs("tci: libsodium cannot be initialised\n", stderr);
        return STATUS_FAILED;
    }
    width_init();
    if (argc < 2) {
        print_usage(stderr);
        return STATUS_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) {
        print_usage(stdout);
        return flush(STATUS_OK);
    }
    if (strcmp(argv[1], "--version") == 0) {
        puts("tci " PACKAGE_VERSION);
        return flush(STATUS_OK);
    }
    status = run(argv[1], argc - 1, argv + 1);
    graphics_end();
    end_as_pipe();
    return flush(status);
}
