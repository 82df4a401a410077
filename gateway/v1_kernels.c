#include "v1_kernels.h"

#include <jansson.h>

#include "http_json.h"
#include "pool.h"
#include "target.h"

void
v1_kernels_list(struct api *api, struct http_request *r, const struct caller *who,
                const struct target *target)
{
    static const char *const none[] = {NULL};
    struct err err = ERR_INIT;

    (void)who;
    if (target_only(target, none, &err) < 0)
        http_reply_error(r, &err, NULL);
    else
        http_reply_json(
            r, 200, xnotnull(json_pack("{s:o}", "kernels", pool_kernels(api_parts(api)->pool))));
}
