/* channels.c - see channels.h. */
#include "channels.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

static const struct {
    enum tci_channel name;
    enum channels_port port;
    bool subscribes;
} table[CHANNELS_COUNT] = {
    {TCI_IOPUB, CHANNELS_PORT_IOPUB, true},
    {TCI_SHELL, CHANNELS_PORT_SHELL, false},
    {TCI_STDIN, CHANNELS_PORT_STDIN, false},
    {TCI_CONTROL, CHANNELS_PORT_CONTROL, false},
};

void
channels_open(struct channel channels[CHANNELS_COUNT])
{
    for (size_t i = 0; i < CHANNELS_COUNT; i++) {
        char path[sizeof(CHANNELS_IP "-4294967295")];

        snprintf(path, sizeof(path), "%s-%u", CHANNELS_IP, (unsigned)table[i].port);
        channel_open(&channels[i], table[i].name, path, table[i].subscribes);
    }
}

void
channels_close(struct channel channels[CHANNELS_COUNT])
{
    for (size_t i = 0; i < CHANNELS_COUNT; i++)
        channel_close(&channels[i]);
}
