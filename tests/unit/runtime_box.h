/*
 * runtime_box.h - containers as the tests of the runtime see them: of crun or of what TCI_TEST_RUNTIME names.  The worker in them
 * is the test program itself: under that name it runs its boot record as a shell script, as the sandbox user where the record
 * starts with "user:".  What a script finds out comes back as its exit status.  Needs root.
 */
#ifndef TESTS_UNIT_RUNTIME_BOX_H
#define TESTS_UNIT_RUNTIME_BOX_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>
#include <event2/event.h>

#include "gateway/runtime.h"
#include "tests/unit/scratch.h"

extern char *program;          /* the runtime that is tested, as its name is run */
extern char top[SCRATCH_PATH]; /* holds the state directory and what is mounted */
extern char state_dir[64], link_dir[64], empty_dir[64], worker_path[PATH_MAX], platform[];

enum { LIMIT_MS = 30000 }; /* by when what is waited for has to be there */

struct box {
    struct event_base *base;
    struct runtime *runtime;
    struct container *container;
    pid_t init;
    int n_started, n_failed, n_exited, n_removed;
    bool destroy_when_started, destroy_when_exited;
    struct container_exit exit;
    struct err err;
};

/*
 * What main does first: in a container it does not return.  Else 0, or the exit status of a test that cannot run here; after it come
 * the fixtures of the group and of each test, whose state is a box.
 */
int begin(char **argv);
int make_directories(void **state);
int remove_directories(void **state);
int set_up(void **state);
int tear_down(void **state);

bool is_crun(void);
/* Else the test is skipped. */
void only_crun(const char *reason);

/* Turns the loop until *count is n; the test fails after LIMIT_MS. */
void wait_for(struct event_base *base, const int *count, int n);

extern const struct container_ops box_ops; /* of a container whose owner is a box */
struct container_spec make_spec(const char *id, const char *script);
void start(struct box *box, const char *id, const char *script);
void destroy(struct box *box);

/* Starts one and waits for the end of its script. */
int run(struct box *box, const char *script);

struct runtime *open_runtime(struct event_base *base);

/* As a gateway does that comes after this one. */
void reopen(struct box *box);

/* --- what is left ------------------------------------------------------------------------- */

struct traces {
    int fds, mounts, bundles, notes, containers;
};

/* Calls visit for each child of this process and adds up what it returns. */
int each_child(int visit(pid_t));
int count_zombies(void);

struct traces look_for_traces(struct runtime *rt);
void settle(struct event_base *base, int ms);
void assert_nothing_left(struct runtime *rt);

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
