/*
 * runtime_state.h - what the parts of the runtime have in common: itself, and its containers.  Part of runtime.h, and for its
 * parts alone.
 *
 * runtime.c sets it up, runtime_container is what the owner of a container can do with it, runtime_phases moves it on.
 */
#ifndef GATEWAY_RUNTIME_STATE_H
#define GATEWAY_RUNTIME_STATE_H

#include <stdbool.h>
#include <sys/types.h>

#include "runtime.h"

struct event;
struct rootless;
struct runtime_driver;

/*
 * A container's phases, and what moves it on:
 *
 *   QUEUED ──turn──▶ STARTING ──driver──▶ RUNNING ──pidfd──▶ ENDED
 *      │                 └──failed──────────────────────────▶  │
 *      └──destroy──▶ CONDEMNED ◀──────────────────────destroy──┘
 *                      │  ▲
 *                    turn └──time── RESTING ◀──┐
 *                      ▼                       │ failed
 *                   REMOVING ──driver──────────┴──▶ on_removed, freed
 *
 * A container that is to be destroyed while STARTING or RUNNING is only marked (and killed): it comes to
 * CONDEMNED by the way that every end takes, so that nothing is removed under a process that still runs.
 */
enum container_phase { QUEUED, STARTING, RUNNING, ENDED, CONDEMNED, REMOVING, RESTING };

struct container {
    struct runtime *runtime;
    char id[33];
    enum container_phase phase;
    bool doomed;    /* container_destroy was called */
    bool preferred; /* container_prefer was called, and container_defer not since */
    bool told;      /* on_started was called (adopted: is taken as called) */
    void *box;      /* the driver's */
    pid_t init;     /* 0: none, or reaped */
    int pidfd;
    struct event *exit_event; /* while RUNNING */
    struct event *timer;      /* while RESTING, or RUNNING and doomed */
    unsigned attempts;        /* at removing it */
    struct container_exit exit;
    const struct container_ops *ops;
    void *owner;
    struct container *prev, *next;
};

struct runtime {
    struct event_base *base;
    const struct runtime_driver *driver;
    void *state;               /* the driver's */
    struct rootless *rootless; /* NULL: root's */
    struct event *turn;        /* active: look for something to start or to remove */
    struct event *child_event;
    unsigned busy, limit; /* starts and removals going on */
    struct container *containers;
};

/* A name that a container can have. */
bool container_is_id(const char *);

#endif
