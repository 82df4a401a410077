/*
 * libarchive.h - the functions of libarchive that are used here, loaded when an archive is made or read and not before: with
 * them come a dozen libraries that no other process of the worker needs.
 */
#ifndef WORKER_LIBARCHIVE_H
#define WORKER_LIBARCHIVE_H

#include <stdbool.h>
#include <archive.h>
#include <archive_entry.h>

#define LIBARCHIVE_FILE "libarchive.so.13"

#define LIBARCHIVE_FUNCTIONS(X)                                                                    \
    X(archive_entry_clear)                                                                         \
    X(archive_entry_copy_pathname)                                                                 \
    X(archive_entry_copy_stat)                                                                     \
    X(archive_entry_copy_symlink)                                                                  \
    X(archive_entry_filetype)                                                                      \
    X(archive_entry_hardlink)                                                                      \
    X(archive_entry_mtime)                                                                         \
    X(archive_entry_mtime_is_set)                                                                  \
    X(archive_entry_new)                                                                           \
    X(archive_entry_pathname)                                                                      \
    X(archive_entry_perm)                                                                          \
    X(archive_entry_set_gid)                                                                       \
    X(archive_entry_set_size)                                                                      \
    X(archive_entry_set_uid)                                                                       \
    X(archive_entry_symlink)                                                                       \
    X(archive_error_string)                                                                        \
    X(archive_read_data_block)                                                                     \
    X(archive_read_new)                                                                            \
    X(archive_read_next_header)                                                                    \
    X(archive_read_open)                                                                           \
    X(archive_read_open_fd)                                                                        \
    X(archive_read_support_filter_bzip2)                                                           \
    X(archive_read_support_filter_gzip)                                                            \
    X(archive_read_support_filter_xz)                                                              \
    X(archive_read_support_filter_zstd)                                                            \
    X(archive_read_support_format_tar)                                                             \
    X(archive_read_support_format_zip_seekable)                                                    \
    X(archive_write_add_filter_gzip)                                                               \
    X(archive_write_add_filter_none)                                                               \
    X(archive_write_close)                                                                         \
    X(archive_write_data)                                                                          \
    X(archive_write_header)                                                                        \
    X(archive_write_new)                                                                           \
    X(archive_write_open)                                                                          \
    X(archive_write_set_bytes_in_last_block)                                                       \
    X(archive_write_set_bytes_per_block)                                                           \
    X(archive_write_set_format_pax_restricted)                                                     \
    X(archive_write_set_format_zip)

/* libarchive.archive_read_new(...), once libarchive_load has returned true. */
struct libarchive {
#define X(name) __typeof__(name) *name;
    LIBARCHIVE_FUNCTIONS(X)
#undef X
};

extern struct libarchive libarchive;

/* False where there is no such library. */
bool libarchive_load(void);

#endif
