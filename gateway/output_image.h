/* output_image.h - the picture of a display, as base64.  Pure.  Part of output.h. */
#ifndef GATEWAY_OUTPUT_IMAGE_H
#define GATEWAY_OUTPUT_IMAGE_H

#include <jansson.h>

#include "mem.h"

/*
 * The image/png of a display's data (a MIME bundle): a reference to its base64 as a string on one line, or NULL if it has none,
 * or none that is base64.
 */
json_t *output_image(const json_t *data) must_check;

#endif
