#include "bucket.h"

bool
bucket_take(struct bucket *b, unsigned per_minute, double now, double *wait)
{
    double per_second = per_minute / 60.0;

    b->taken -= (now - b->at) * per_second;
    b->at = now;
    if (b->taken < 0)
        b->taken = 0;
    if (b->taken + 1 > per_minute) {
        *wait = (b->taken + 1 - per_minute) / per_second;
        return false;
    }
    b->taken += 1;
    return true;
}
