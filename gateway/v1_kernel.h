/* v1_kernel.h - the handlers that ask a session's kernel: complete, inspect, is_complete, and the variables that there are. */
#ifndef GATEWAY_V1_KERNEL_H
#define GATEWAY_V1_KERNEL_H

#include "api.h"

api_handler_fn v1_kernel_complete;
api_handler_fn v1_kernel_inspect;
api_handler_fn v1_kernel_is_complete;
api_handler_fn v1_kernel_variables;

#endif
