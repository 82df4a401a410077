/*
 * protocol.h - what the gateway and the worker must agree on: the link's verbs, the boot record,
 * paths inside the container, exit codes.  Included by both programs; contains no code.
 *
 * THE LINK.  The gateway listens on a unix socket, and each worker connects to it: a stream of messages of frames
 * (framing.h).  The first message of a connection is one frame, the secret routing id that the gateway drew for
 * the worker; the gateway answers WELCOME, or hangs up.  Every other message is
 *
 *     verb (1 byte) | the verb's own frames ...
 *
 * A message whose frames do not fit its verb is dropped and counted by the gateway, and ends the worker when the
 * gateway sent it.  What is no message ends the connection, or the worker.
 *
 *   from the worker
 *     'H' HELLO      json                  right behind the routing id
 *                                          {"protocol":4, "state":"new"|"running"}
 *                                          "new": wants CONFIG; "running": has a kernel
 *     'S' STARTED    -                     the kernel process runs and the channels are connected
 *     'R' RELAY      (n, channel, jupyter...)...
 *                                          messages of the kernel that came at the same time, each with its n
 *                                          (1 byte) frames untouched
 *     'O' OUTPUT     fd, bytes             raw bytes that the kernel's processes wrote to fd '1' or '2'
 *     'T' TRUNCATED  -                     output of the execution beyond its limit was dropped here: what
 *                                          follows until the idle status is the last of it
 *     'V' CHANGES    flag, changes         which files of the workspace the execution has created, changed or deleted; only
 *                                          where EXECUTE asked for it, before its idle status.  May come again: the
 *                                          later one counts.  None: nothing has changed
 *     'U' DISK       used, size            bytes of the workspace, u64 each: when the kernel has started, with CHANGES, and
 *                                          when an operation on files has ended
 *     'X' EXITED     json                  the kernel is gone: {"exit":N} or {"signal":N}
 *                                          or {"reason":"..."} where the worker gave up on it, or could
 *                                          not run it.  The worker then waits up to 2 s to be ended, by
 *                                          QUIT or otherwise, so that nothing under way is lost
 *     'D' DATA       id, bytes             what the operation on files of that id says
 *     'G' GRANT      id, n                 it has taken so many of the bytes that were sent to it
 *     'Z' ENDED      id, why               it is over, and what it said is complete if why is empty
 *
 *   from the gateway
 *     'W' WELCOME    -                     the first message: the worker is known, and the link is up
 *     'C' CONFIG     json                  answer to HELLO "new", see below
 *     'E' EXECUTE    limits, jupyter...    resets the output counters, then goes to the shell channel
 *     'R' RELAY      channel, jupyter...   goes to that channel
 *     'N' NETWORK    session               the session may have a way out: listen on TCI_PROXY_PORT of the loopback
 *                                          and carry what connects to the proxy (below), as that session, 1 to
 *                                          32 of a-z 0-9.  Before the first EXECUTE; again has no effect
 *     'F' FILES      id, request           begins an operation on the session's files (below)
 *     'D' DATA       id, bytes             bytes for it; none: that was all
 *     'G' GRANT      id, n                 so many of the bytes that it said have been taken
 *     'B' ABORT      id                    ends it; no more is said of it
 *     'I' INTERRUPT  -                     SIGINT to the kernel's process group
 *     'A' RENEW      what, json            end all that runs in the container and start the kernel that CONFIG's json
 *                                          describes; answered with STARTED.  what 'w': empty the workspace, the
 *                                          home, /tmp and /dev/shm before; 'k': files stay.  Nothing if the kernel
 *                                          has ended already
 *     'Q' QUIT       -                     kill the kernel and exit
 *
 * "jupyter..." is what the Jupyter messaging protocol 5.3 calls the wire message, from the delimiter
 * on: <IDS|MSG>, signature, header, parent_header, metadata, content, buffers.  Routing prefixes and
 * iopub topics before the delimiter are removed by the worker.
 *
 * "limits" is 21 bytes, big-endian: u64 output bytes, u32 output messages, u64 bytes of one message, u8 1 if CHANGES is
 * asked for, else 0.  Every OUTPUT
 * and every iopub RELAY but "status" counts, with the sum of its frames.  What comes after a message that is too large is over
 * the limit as well.  The most recent part of an output over its limit, at
 * most a quarter of that, is sent when the idle status has come.  Status
 * messages and replies are not cut, but a kernel that sends them without end is given up (EXITED, reason);
 * no RELAY carries more than the output bytes plus 4 MiB.
 *
 * CHANGES' flag is '.', these are all, '+', there are more, or '?', it cannot be told, and there are none.  Its changes are, for each file that is not a directory, 'c' created,
 * 'm' changed or 'd' deleted, its path in the workspace and a zero byte; the paths in order, as bytes of any kind.
 *
 * While there is no link the kernel runs on, and what it sends is dropped.
 *
 * FILES.  Each operation on the session's files is a process of its own, the sandbox user's (fileop.h), and the worker
 * carries bytes between it and the link, without looking at them.  An id is 4 bytes and any that is not in use; n is 4 bytes,
 * big-endian.  Neither side sends more than TCI_FILES_WINDOW bytes beyond what has been granted to it.  The gateway begins no
 * more than TCI_FILES_MAX operations at a time; twice as many may run, since those that it has aborted end a little later.  What is said of an id that is not in use is ignored.  File data goes over the
 * link only while nothing of the kernel waits for it.
 *
 * An operation says first a reply, JSON of at most TCI_FILES_MAX_REPLY bytes behind its length in 4 bytes, then bytes.  Requests:
 *     {"op": "stat", "path"}                                     -> {"entry"}
 *     {"op": "list", "path", "recursive", "limit", "after"}      -> {"entries", "next", "truncated"}
 *     {"op": "read", "path", "range"?, "if_range"?, "head"}      -> {"entry", "first", "length", "partial"}, the bytes
 *     {"op": "write", "path", "length"?, "if_match"?, "if_none_match"} + bytes -> {"created", "entry"}
 *     {"op": "delete", "path", "recursive", "if_match"?}         -> {}
 *     {"op": "mkdir", "path", "parents"}                         -> {"created", "entry"}
 *     {"op": "move", "from", "to", "overwrite", "parents"}       -> {"entry"}
 *     {"op": "archive", "path", "format"}                        -> {}, the archive
 *     {"op": "extract", "path", "packages"?} + an archive        -> {"files", "directories", "skipped", "bytes"}
 *     {"op": "watch", "path", "recursive"}                       -> {"files", "truncated"}, then such replies: events
 *     {"op": "usage"}                                            -> {"bytes_total", "bytes_free", "files"}
 *     {"op": "wipe"}                                             -> {}; workspace, home and /tmp as at the beginning
 *     {"op": "install", "argv", "env"}                           -> {}, then such replies: {"fd", "text"}, {"exit"}
 * With "packages": true an archive is unpacked in TCI_PATH_PACKAGES.  "install" runs a program in the workspace, whose
 * TCI_INSTALL_TARGET and TCI_INSTALL_TEMPORARY are made for it, tells what it writes to descriptors 1 and 2, and at last its exit
 * status, or -1.
 * Paths are the workspace's: relative, without empty, "." and ".." components, "" being the workspace itself.  An "entry" is
 * {"path", "type", "size", "mode", "modified_at", "etag", "target"?}.  Instead of any reply there may be
 * {"error": {"code", "message"}}, the code being invalid, not_found, conflict, forbidden, precondition, range, no_space,
 * unsupported or failed; with range come the file's "size" and "entry".  The sandbox's code can be in that process: no byte of it
 * is to be trusted.
 *
 * THE PROXY.  The gateway's proxy listens on another unix socket; each connection of a program to TCI_PROXY_PORT is one
 * there, which begins with the line "SESSION <session>\n" and then is the program's bytes, in both directions.
 *
 * Order: the worker reads the kernel's pipes dry before it relays a message of shell or iopub, so that
 * bytes written before a cell ended reach the gateway before the cell's reply and its idle status.
 */
#ifndef TCI_PROTOCOL_H
#define TCI_PROTOCOL_H

#define TCI_PROTOCOL_VERSION 4

enum tci_verb {
    TCI_HELLO = 'H',
    TCI_STARTED = 'S',
    TCI_RELAY = 'R',
    TCI_OUTPUT = 'O',
    TCI_TRUNCATED = 'T',
    TCI_CHANGES = 'V',
    TCI_DISK = 'U',
    TCI_EXITED = 'X',
    TCI_ENDED = 'Z',
    TCI_WELCOME = 'W',
    TCI_CONFIG = 'C',
    TCI_EXECUTE = 'E',
    TCI_NETWORK = 'N',
    TCI_FILES = 'F',
    TCI_DATA = 'D',
    TCI_GRANT = 'G',
    TCI_ABORT = 'B',
    TCI_INTERRUPT = 'I',
    TCI_RENEW = 'A',
    TCI_QUIT = 'Q',
};

enum tci_renew {
    TCI_RENEW_KERNEL = 'k',
    TCI_RENEW_WIPE = 'w',
};

enum tci_change {
    TCI_CREATED = 'c',
    TCI_CHANGED = 'm',
    TCI_DELETED = 'd',
};

enum tci_changes {
    TCI_CHANGES_ALL = '.',
    TCI_CHANGES_SOME = '+',
    TCI_CHANGES_UNKNOWN = '?',
};

enum tci_channel {
    TCI_SHELL = 's',
    TCI_IOPUB = 'i',
    TCI_CONTROL = 'c',
    TCI_STDIN = 'n',
};

#define TCI_LIMITS_SIZE 21            /* bytes of EXECUTE's limits frame */
#define TCI_MAX_OUTPUT_MESSAGES 20000 /* the gateway's u32 in EXECUTE: one execution's messages */
#define TCI_MAX_FRAMES 64 /* frames of one message, both directions; more is a protocol error */
#define TCI_MAX_RELAY_FRAMES (TCI_MAX_FRAMES - 1) /* without the verb */

#define TCI_CHANGES_MAX (64 << 10) /* bytes of CHANGES' changes */
#define TCI_CHANGES_MAX_PATHS 1000
#define TCI_DISK_SIZE 16

#define TCI_FILES_ID_SIZE 4
#define TCI_FILES_WINDOW (512 << 10)     /* bytes under way in each direction of an operation */
#define TCI_FILES_CHUNK (128 << 10)      /* bytes of one DATA at most */
#define TCI_FILES_MAX 8                  /* operations of one worker at a time */
#define TCI_FILES_MAX_REQUEST (32 << 10) /* bytes of its JSON */
#define TCI_FILES_MAX_REPLY (512 << 10)

/*
 * The boot record: one JSON object on the worker's standard input, then end of file.
 *   {"endpoint": "unix:///run/tci/link/gateway.sock", "routing_id": "<hex>", "orphan_timeout": seconds}
 * The routing id is used as the ASCII hex string.  After orphan_timeout without a link the worker exits.
 *
 * CONFIG, the one JSON object that says what to run:
 *   {"argv": ["...", ...],           {connection_file} is replaced in each element
 *    "env": {"NAME": "value", ...},  the whole environment of the kernel
 *    "cwd": "/workspace",
 *    "uid": 1000, "gid": 1000,
 *    "key": "...",                   HMAC key for the connection file
 *    "kernel_name": "python3",
 *    "flow_control": true}           may be left out; the kernel waits where its iopub is not read, and drops nothing
 */

/* Paths inside the container; the runtime makes them (gateway/ocispec.c). */
#define TCI_PATH_WORKER "/tci-worker"       /* this program */
#define TCI_PATH_KERNEL "/tci-kernel"       /* the kernel of languages that are only a command */
#define TCI_PATH_LINK_DIR "/run/tci/link"   /* the link's directory, under a 0700 directory */
#define TCI_PATH_LINK_SOCKET "gateway.sock" /* the link's name in it */
#define TCI_PATH_PROXY_DIR "/run/tci/proxy" /* the proxy's directory, where there is one */
#define TCI_PATH_PROXY_SOCKET "proxy.sock"
#define TCI_PROXY_PORT 3128               /* on 127.0.0.1 in the container */
#define TCI_MAX_SESSION 32                /* characters of NETWORK's session */
#define TCI_PATH_KERNEL_DIR "/run/kernel" /* tmpfs of the sandbox user: connection file, sockets */
#define TCI_PATH_KERNELSPEC "/kernelspec" /* the kernelspec's directory, read-only */
#define TCI_PATH_SKEL "/etc/skel"         /* copied into the home before the kernel starts */
#define TCI_PATH_HOME "/home/sandbox"     /* tmpfs of the sandbox user */
#define TCI_PATH_WORKSPACE "/workspace"   /* tmpfs of the sandbox user, the kernel's cwd */

/* Where packages can be had: */
#define TCI_PATH_PACKAGES "/opt/packages" /* tmpfs of the sandbox user: those of the session */
#define TCI_PATH_PACKAGE_DIR                                                                       \
    "/opt/wheels" /* where they are installed, the operator's directory, read-only */
#define TCI_INSTALL_TARGET "packages" /* there, the directory in the workspace that they go to */
#define TCI_INSTALL_TEMPORARY ".temporary" /* ... and the installer's TMPDIR */
#define TCI_INSTALLER_SESSION                                                                      \
    "install" /* what NETWORK's session begins with there, and no other does */

/*
 * In the worker's environment where the container has a kernel of its own (gVisor): how many processes and threads there
 * may be in it, the worker's included.  The worker sees to that, because limits set from outside are that kernel's.
 */
#define TCI_ENV_PIDS "TCI_PIDS"

/*
 * In the worker's environment where the container has no control group: how many processes and threads each of its users
 * may have.  The worker sees to that, because a limit that is there when a user namespace is made holds for all
 * namespaces of its owner together.
 */
#define TCI_ENV_USER_PIDS "TCI_USER_PIDS"

/* Exit codes of tci-worker. */
enum tci_exit {
    TCI_EXIT_OK = 0,        /* told to quit, or the kernel is gone and the gateway knows */
    TCI_EXIT_BOOT = 64,     /* the boot record or CONFIG was unusable */
    TCI_EXIT_SYSTEM = 65,   /* a system call failed */
    TCI_EXIT_ORPHANED = 66, /* no gateway for orphan_timeout seconds */
    TCI_EXIT_PROTOCOL = 67, /* the gateway sent something that is not the protocol */
};

#endif
