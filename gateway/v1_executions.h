/* v1_executions.h - the handlers of /v1/sessions/{id}/executions: run, followed, looked at, interrupted, answered. */
#ifndef GATEWAY_V1_EXECUTIONS_H
#define GATEWAY_V1_EXECUTIONS_H

#include "api.h"

api_handler_fn v1_executions_create;
api_handler_fn v1_executions_delete;
api_handler_fn v1_executions_get;
api_handler_fn v1_executions_interrupt;
api_handler_fn v1_executions_list;
api_handler_fn v1_executions_stdin;

#endif
