/* err.h - the one error type.  By value: nothing to free, nothing to leak. */
#ifndef GATEWAY_ERR_H
#define GATEWAY_ERR_H

enum err_code {
    ERR_NONE,
    ERR_BAD_REQUEST,  /* the client sent something unusable */
    ERR_TOO_LARGE,    /* ... or something over a limit */
    ERR_NOT_FOUND,    /* ... or something about what is not there */
    ERR_UNSUPPORTED,  /* ... or something that is not to be had of this kernel, or here */
    ERR_FORBIDDEN,    /* ... or something that the operator does not permit */
    ERR_CONFLICT,     /* ... or something that does not go with what there is */
    ERR_PRECONDITION, /* ... or something that was to be done to a file only if it had not changed */
    ERR_INSTALL,      /* ... or packages that cannot be installed */
    ERR_RANGE,        /* ... or a part of a file that it does not have */
    ERR_NO_SPACE,     /* the session's file system is full */
    ERR_BUSY,         /* the session's queue is full */
    ERR_QUOTA,        /* a limit of the caller's key is reached */
    ERR_NO_WORKER,    /* no worker can be had now */
    ERR_TIMEOUT,      /* the code ran too long */
    ERR_WORKER_DIED,  /* the worker or its kernel ended while it was needed */
    ERR_PEER,         /* a kernel or worker broke its protocol */
    ERR_CONFIG,       /* an unusable setting */
    ERR_SYSTEM,       /* a system call or library failed */
};

struct err {
    enum err_code code; /* what the HTTP layer maps to a status, in one table */
    int sys_errno;      /* errno behind an ERR_SYSTEM, else 0 */
    char field[48];     /* the request field or setting that was wrong, else "" */
    char msg[400];      /* one sentence; never contains user code or secrets */
};

#define ERR_INIT                                                                                   \
    {                                                                                              \
        ERR_NONE, 0, "", ""                                                                        \
    }

/*
 * All return -1, so that a failing function ends in `return err_set(...)`.  Message and field are
 * cut at their sizes, and are valid UTF-8 whatever went into them.  err_sys appends ": " and strerror(errno).
 * A NULL err is allowed and ignored.
 */
int err_set(struct err *, enum err_code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
int err_field(struct err *, enum err_code, const char *field, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
int err_sys(struct err *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
