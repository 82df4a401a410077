/* v1_sessions.h - the handlers of /v1/sessions: made, listed, looked at, changed, ended. */
#ifndef GATEWAY_V1_SESSIONS_H
#define GATEWAY_V1_SESSIONS_H

#include "api.h"

api_handler_fn v1_sessions_create;
api_handler_fn v1_sessions_delete;
api_handler_fn v1_sessions_get;
api_handler_fn v1_sessions_list;
api_handler_fn v1_sessions_patch;
api_handler_fn v1_sessions_restart;

#endif
