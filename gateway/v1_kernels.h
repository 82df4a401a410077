/* v1_kernels.h - the handler of /v1/kernels: the kernels that sessions can have. */
#ifndef GATEWAY_V1_KERNELS_H
#define GATEWAY_V1_KERNELS_H

#include "api.h"

api_handler_fn v1_kernels_list;

#endif
