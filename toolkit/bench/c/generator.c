/* Plays netplay over connected sockets that it inherits, and measures what comes out at the other end.
 *
 * generator WARM-SECONDS SECONDS MESSAGES-PER-SECOND SEED
 *
 * Standard input, a line each, naming the descriptors of a link's two ends:
 *     link A B          a game: each end sends INPUT commands of 24 to 60 bytes at a phase of its own
 *     lazy A B          the same, but what arrives is read a few times a second only, and its latency is not measured:
 *                       that costs the generator less, so that it can load a relay that is nearly as fast as itself
 *     bulk A B          A sends savestates to B as fast as B takes them
 *     stall A B RATE    A sends RATE savestates a second to B, which never reads
 * Standard output: "begin" and "end" around the measured window, then one line of JSON. Times in it are microseconds.
 *
 * Every message carries the time it was sent at. Sending happens when it is due whatever comes back, so a relay that
 * stops does not slow the load down; how late the generator itself was is reported as late_us.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "samples.h"

enum {
    INPUT = 0x3,
    LOAD_SAVESTATE = 0x42,
    SMALLEST = 24,
    LARGEST = 60,
    SAVESTATE = 200 * 1000,
    READ_SIZE = 256 * 1024,
    BATCH = 256,
    MOST_LINKS = 8192,
    /* Sent in a row at most, before what has arrived is read. */
    BURST = 32,
    /* A lazy player reads once in so many messages it sends: far less than a socket buffer has arrived by then. */
    LAZY = 16,
};
#define SECOND 1000000000ull
#define DRAIN (2 * SECOND)

enum role { PLAYER, BLOB_SENDER, BLOB_READER, STALL_SENDER, STALLED };

struct end {
    int fd;
    enum role role;
    int gone, lazy;
    uint32_t number; /* the player's, 0 is the host */
    uint32_t frame;
    uint64_t phase;
    uint64_t interval; /* between savestates, of a STALL_SENDER */
    size_t offset;     /* sent of the current savestate */
    unsigned unread;   /* messages a lazy player has sent since it read */
    unsigned have;     /* bytes of a message that has not arrived whole */
    unsigned char partial[LARGEST];
};

static int loop;
/* A wait shorter than this is not slept: to set a timer and to stop it takes time, too. */
static uint64_t shortest_sleep;
static struct end ends[2 * MOST_LINKS];
static struct end *players[2 * MOST_LINKS];
static unsigned count_ends, count_players;
static struct samples latency, late;
static uint64_t sent, received, blocked, broken, bulk_bytes, stall_bytes, stall_ended, window_begin, window_end;
static unsigned char scratch[READ_SIZE], savestate[8 + SAVESTATE];

static uint64_t clock_ns(clockid_t which)
{
    struct timespec now;
    clock_gettime(which, &now);
    return (uint64_t)now.tv_sec * SECOND + (uint64_t)now.tv_nsec;
}

static uint64_t now_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

static uint64_t random_state;

static uint64_t random_below(uint64_t limit)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state % limit;
}

static int in_window(uint64_t time)
{
    return window_begin <= time && time < window_end;
}

static void put32(unsigned char *where, uint32_t value)
{
    value = htonl(value);
    memcpy(where, &value, 4);
}

static uint32_t get32(const unsigned char *where)
{
    uint32_t value;
    memcpy(&value, where, 4);
    return ntohl(value);
}

static void give_up(struct end *end)
{
    if (end->gone)
        return;
    end->gone = 1;
    if (end->role < STALL_SENDER)
        broken++;
    else if (!stall_ended)
        stall_ended = now_ns();
    epoll_ctl(loop, EPOLL_CTL_DEL, end->fd, NULL);
}

static void send_input(struct end *end, uint64_t due)
{
    unsigned char message[LARGEST] = {0};
    uint32_t size = SMALLEST + (uint32_t)random_below((LARGEST - SMALLEST) / 4 + 1) * 4;
    put32(message, INPUT);
    put32(message + 4, size - 8);
    put32(message + 8, end->frame++);
    put32(message + 12, end->number);
    uint64_t now = now_ns();
    memcpy(message + 16, &now, sizeof now);
    if (in_window(now)) {
        sent++;
        keep(&late, now - due);
    }
    ssize_t count = send(end->fd, message, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count == (ssize_t)size)
        return;
    if (count >= 0 || errno != EAGAIN)
        give_up(end);
    else if (in_window(now))
        blocked++;
}

static void take_input(struct end *end)
{
    memcpy(scratch, end->partial, end->have);
    ssize_t count = recv(end->fd, scratch + end->have, READ_SIZE - LARGEST, MSG_DONTWAIT);
    if (count <= 0) {
        if (count == 0 || errno != EAGAIN)
            give_up(end);
        return;
    }
    uint64_t now = now_ns(), stamp;
    size_t size = end->have + (size_t)count, at = 0;
    while (size - at >= 8) {
        uint32_t whole = 8 + get32(scratch + at + 4);
        if (get32(scratch + at) != INPUT || whole < SMALLEST || whole > LARGEST) {
            fprintf(stderr, "generator: descriptor %d: not what was sent\n", end->fd);
            exit(1);
        }
        if (size - at < whole)
            break;
        memcpy(&stamp, scratch + at + 16, sizeof stamp);
        if (in_window(stamp)) {
            received++;
            if (!end->lazy)
                keep(&latency, now - stamp);
        }
        at += whole;
    }
    end->have = (unsigned)(size - at);
    memcpy(end->partial, scratch + at, end->have);
}

static void take_turn(struct end *end, uint64_t due)
{
    send_input(end, due);
    if (end->lazy && ++end->unread == LAZY) {
        end->unread = 0;
        take_input(end);
    }
}

/* Send what is left of the current savestate; returns whether the socket took all of it. */
static int send_savestate(struct end *end)
{
    ssize_t count = send(end->fd, savestate + end->offset, sizeof savestate - end->offset, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count < 0) {
        if (errno != EAGAIN)
            give_up(end);
        return 0;
    }
    if (end->role == STALL_SENDER)
        stall_bytes += (uint64_t)count;
    end->offset += (size_t)count;
    if (end->offset < sizeof savestate)
        return 0;
    end->offset = 0;
    return 1;
}

static void take_savestate(struct end *end)
{
    ssize_t count = recv(end->fd, scratch, sizeof scratch, MSG_DONTWAIT);
    if (count == 0 || (count < 0 && errno != EAGAIN))
        give_up(end);
    else if (count > 0 && in_window(now_ns()))
        bulk_bytes += (uint64_t)count;
}

static void handle(struct end *end)
{
    if (end->gone)
        return;
    if (end->role == PLAYER)
        take_input(end);
    else if (end->role == BLOB_READER)
        take_savestate(end);
    else if (end->role == BLOB_SENDER)
        send_savestate(end);
    else
        give_up(end); /* watched for its end alone */
}

static struct end *add(int fd, enum role role, uint32_t events)
{
    struct end *end = &ends[count_ends++];
    struct epoll_event event = {.events = events, .data.ptr = end};
    *end = (struct end){.fd = fd, .role = role};
    if (epoll_ctl(loop, EPOLL_CTL_ADD, fd, &event) < 0) {
        perror("generator: epoll_ctl");
        exit(1);
    }
    return end;
}

static void add_player(int fd, uint32_t number, uint64_t period, int lazy)
{
    /* The kernel tells of an end that is gone whether it was asked or not. */
    struct end *end = add(fd, PLAYER, lazy ? 0 : EPOLLIN);
    end->number = number;
    end->lazy = lazy;
    end->unread = (unsigned)random_below(LAZY);
    end->phase = random_below(period);
    players[count_players++] = end;
}

static void read_links(uint64_t period)
{
    char kind[8];
    int a, b;
    double rate = 0;
    while (count_ends < 2 * MOST_LINKS && scanf("%7s %d %d", kind, &a, &b) == 3) {
        int lazy = !strcmp(kind, "lazy");
        if (lazy)
            shortest_sleep = SECOND / 50000;
        if (lazy || !strcmp(kind, "link")) {
            add_player(a, 0, period, lazy);
            add_player(b, 1, period, lazy);
        } else if (!strcmp(kind, "bulk")) {
            add(a, BLOB_SENDER, EPOLLOUT);
            add(b, BLOB_READER, EPOLLIN);
        } else if (!strcmp(kind, "stall") && scanf("%lf", &rate) == 1 && rate > 0) {
            struct end *sender = add(a, STALL_SENDER, EPOLLRDHUP);
            sender->interval = (uint64_t)((double)SECOND / rate);
            add(b, STALLED, 0);
        }
    }
}

static int by_phase(const void *left, const void *right)
{
    uint64_t a = (*(struct end *const *)left)->phase, b = (*(struct end *const *)right)->phase;
    return (a > b) - (a < b);
}

/* Wait for events until a time at most, and handle them. */
static void wait_until(uint64_t due)
{
    struct epoll_event events[BATCH];
    uint64_t now = now_ns(), left = due > now + shortest_sleep ? due - now : 0;
    struct timespec wait = {.tv_sec = (time_t)(left / SECOND), .tv_nsec = (long)(left % SECOND)};
    int count = (int)syscall(SYS_epoll_pwait2, loop, events, BATCH, &wait, NULL, 8);
    for (int i = 0; i < count; i++)
        handle(events[i].data.ptr);
}

/* Send every savestate that is due to a reader that never reads; returns when the next one is. */
static uint64_t feed_stalled(uint64_t start, uint64_t now)
{
    uint64_t next = UINT64_MAX;
    for (unsigned i = 0; i < count_ends; i++) {
        struct end *end = &ends[i];
        if (end->role != STALL_SENDER || end->gone)
            continue;
        while (start + end->phase <= now) {
            /* RetroArch would block here; what counts is that the relay gets no less than it takes. */
            if (!send_savestate(end))
                break;
            end->phase += end->interval;
        }
        uint64_t due = start + end->phase > now ? start + end->phase : now + SECOND / 1000;
        if (due < next)
            next = due;
    }
    return next;
}

static void announce(const char *word)
{
    puts(word);
    fflush(stdout);
}

static void play(uint64_t start, uint64_t period)
{
    uint64_t round = start, stall_due = start, now;
    unsigned next = 0;
    int announced = 0;
    while ((now = now_ns()) < window_end) {
        if (!announced && now >= window_begin) {
            announced = 1;
            announce("begin");
        }
        if (stall_due <= now)
            stall_due = feed_stalled(start, now);
        uint64_t due = window_end;
        for (int burst = 0; count_players && burst < BURST; burst++) {
            due = round + players[next]->phase;
            if (due > now_ns())
                break;
            if (!players[next]->gone)
                take_turn(players[next], due);
            if (++next == count_players) {
                next = 0;
                round += period;
            }
        }
        if (!announced && due > window_begin)
            due = window_begin;
        if (due > stall_due)
            due = stall_due;
        wait_until(due < window_end ? due : window_end);
    }
}

/* Take what is still under way. What was sent last arrives last, so nothing is left when the window's is all there. */
static void drain(void)
{
    uint64_t end = now_ns() + DRAIN;
    for (unsigned i = 0; i < count_players; i++)
        if (players[i]->lazy && !players[i]->gone) {
            struct epoll_event event = {.events = EPOLLIN, .data.ptr = players[i]};
            epoll_ctl(loop, EPOLL_CTL_MOD, players[i]->fd, &event);
        }
    while (received + blocked < sent && now_ns() < end)
        wait_until(now_ns() + SECOND / 100);
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        fprintf(stderr, "usage: generator WARM-SECONDS SECONDS MESSAGES-PER-SECOND SEED\n");
        return 2;
    }
    double warm = atof(argv[1]), seconds = atof(argv[2]), rate = atof(argv[3]);
    uint64_t period = (uint64_t)((double)SECOND / rate);
    random_state = strtoull(argv[4], NULL, 10) * 2654435761u + 1;
    /* Without this the kernel rounds every sleep up by 50 microseconds. */
    prctl(PR_SET_TIMERSLACK, 1ul, 0ul, 0ul, 0ul);
    loop = epoll_create1(0);
    read_links(period);
    qsort(players, count_players, sizeof players[0], by_phase);
    size_t expected = (size_t)((double)count_players * rate * seconds * 1.2) + 1024;
    make_room(&latency, expected);
    make_room(&late, expected);
    put32(savestate, LOAD_SAVESTATE);
    put32(savestate + 4, SAVESTATE);

    uint64_t start = now_ns() + SECOND / 100;
    window_begin = start + (uint64_t)(warm * (double)SECOND);
    window_end = window_begin + (uint64_t)(seconds * (double)SECOND);
    uint64_t busy = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    play(start, period);
    busy = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - busy;
    announce("end");
    drain();

    printf("{\"sent\": %lu, \"received\": %lu, \"blocked\": %lu, \"broken\": %lu, \"busy\": %.4f, ", sent, received,
           blocked, broken, (double)busy / ((warm + seconds) * (double)SECOND));
    print_samples("latency_us", &latency);
    print_samples("late_us", &late);
    printf("\"bulk_bytes\": %lu, \"stall_bytes\": %lu, \"stall_ended_s\": ", bulk_bytes, stall_bytes);
    if (stall_ended)
        printf("%.3f}\n", (double)(stall_ended - start) / (double)SECOND);
    else
        printf("null}\n");
    return 0;
}
