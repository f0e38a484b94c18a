/* The practical floor to measure a relay against: one epoll, recv and send, nothing else.
 *
 * reference PORT BACKEND-PORT: accept on 127.0.0.1:PORT, connect to 127.0.0.1:BACKEND-PORT, forward both ways.
 * What a peer does not take at once is parked (at most one read of 64 KiB), and its source is not read meanwhile.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { READ_SIZE = 64 * 1024, BATCH = 256, BACKLOG = 4096 };

struct end {
    int fd;
    int connecting;
    int closed;
    struct end *peer;
    char *parked;
    size_t size;
    struct end *next_dead;
};

static int loop;
static struct end *dead;
static struct sockaddr_in backend;
static char buffer[READ_SIZE];

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static struct sockaddr_in local(const char *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(port))};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

/* Watch for what the end's state allows: bytes to read unless the peer is behind, room to write if bytes wait. */
static void watch(struct end *end, int operation)
{
    struct epoll_event event = {.data.ptr = end};
    if (!end->peer->parked && !end->peer->connecting && !end->connecting)
        event.events |= EPOLLIN;
    if (end->parked || end->connecting)
        event.events |= EPOLLOUT;
    if (epoll_ctl(loop, operation, end->fd, &event) < 0)
        die("epoll_ctl");
}

static void end_link(struct end *end)
{
    if (end->closed)
        return;
    struct end *both[] = {end, end->peer};
    for (int i = 0; i < 2; i++) {
        close(both[i]->fd);
        both[i]->closed = 1;
        /* Freed after the batch: events of it may still point here. */
        both[i]->next_dead = dead;
        dead = both[i];
    }
}

static void bury(void)
{
    while (dead) {
        struct end *end = dead;
        dead = end->next_dead;
        free(end->parked);
        free(end);
    }
}

static void park(struct end *end, const char *data, size_t size)
{
    end->parked = malloc(size);
    if (!end->parked)
        die("malloc");
    memcpy(end->parked, data, size);
    end->size = size;
    watch(end, EPOLL_CTL_MOD);
    watch(end->peer, EPOLL_CTL_MOD);
}

static void pump(struct end *end)
{
    ssize_t count = recv(end->fd, buffer, sizeof buffer, 0);
    if (count < 0 && errno == EAGAIN)
        return;
    if (count <= 0) {
        end_link(end);
        return;
    }
    ssize_t sent = send(end->peer->fd, buffer, (size_t)count, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN)
        end_link(end);
    else if (sent < count)
        park(end->peer, buffer + (sent < 0 ? 0 : sent), (size_t)(count - (sent < 0 ? 0 : sent)));
}

static void flush(struct end *end)
{
    if (end->connecting) {
        end->connecting = 0;
    } else if (end->parked) {
        ssize_t sent = send(end->fd, end->parked, end->size, MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN) {
            end_link(end);
            return;
        }
        if (sent > 0) {
            end->size -= (size_t)sent;
            memmove(end->parked, end->parked + sent, end->size);
        }
        if (end->size)
            return;
        free(end->parked);
        end->parked = NULL;
    }
    watch(end, EPOLL_CTL_MOD);
    watch(end->peer, EPOLL_CTL_MOD);
}

static struct end *new_end(int fd)
{
    struct end *end = calloc(1, sizeof *end);
    int on = 1;
    if (!end)
        die("calloc");
    end->fd = fd;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return end;
}

static void accept_one(int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    if (fd < 0)
        return;
    int out = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (out < 0 || (connect(out, (struct sockaddr *)&backend, sizeof backend) < 0 && errno != EINPROGRESS))
        die("connect");
    struct end *client = new_end(fd), *server = new_end(out);
    client->peer = server;
    server->peer = client;
    server->connecting = 1;
    watch(client, EPOLL_CTL_ADD);
    watch(server, EPOLL_CTL_ADD);
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: reference PORT BACKEND-PORT\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    struct sockaddr_in address = local(argv[1]);
    int on = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    backend = local(argv[2]);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0 || listen(listener, BACKLOG) < 0)
        die("listen");
    loop = epoll_create1(0);
    struct epoll_event incoming = {.events = EPOLLIN}, events[BATCH];
    epoll_ctl(loop, EPOLL_CTL_ADD, listener, &incoming);
    for (;;) {
        int count = epoll_wait(loop, events, BATCH, -1);
        for (int i = 0; i < count; i++) {
            struct end *end = events[i].data.ptr;
            if (!end) {
                accept_one(listener);
                continue;
            }
            if (!end->closed && events[i].events & EPOLLOUT)
                flush(end);
            if (!end->closed && events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
                pump(end);
        }
        bury();
    }
}
