/* Every measured time is kept and sorted at the end: percentiles are exact, and keeping one costs a store. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct samples {
    uint32_t *ns;
    size_t count, room;
};

static void make_room(struct samples *samples, size_t room)
{
    samples->ns = malloc(room * sizeof *samples->ns);
    if (!samples->ns) {
        perror("malloc");
        exit(1);
    }
    /* Touched now, so that no page has to be found in the middle of measuring. */
    memset(samples->ns, 0, room * sizeof *samples->ns);
    samples->room = room;
}

static void keep(struct samples *samples, uint64_t ns)
{
    if (samples->count < samples->room)
        samples->ns[samples->count++] = ns < UINT32_MAX ? (uint32_t)ns : UINT32_MAX;
}

static int by_size(const void *left, const void *right)
{
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    return (a > b) - (a < b);
}

static double percentile(const struct samples *samples, double part)
{
    if (!samples->count)
        return 0;
    return samples->ns[(size_t)(part * (double)(samples->count - 1))] / 1e3;
}

static void print_samples(const char *name, struct samples *samples)
{
    qsort(samples->ns, samples->count, sizeof *samples->ns, by_size);
    printf("\"%s\": {\"p50\": %.1f, \"p99\": %.1f, \"p999\": %.1f, \"max\": %.1f}, ", name, percentile(samples, 0.5),
           percentile(samples, 0.99), percentile(samples, 0.999), percentile(samples, 1));
}
