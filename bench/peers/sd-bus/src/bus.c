// Client and server with sd-bus, peer to peer over a connected socket, as described in
// sd_bus_set_fd(3) and sd_bus_add_object_vtable(3). The server uses an sd-event loop.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>
#include <systemd/sd-id128.h>
#include <unistd.h>

#define PATH "/bench"
#define INTERFACE "org.example.Bench"

// A background task: the event that it waits for, and the data for its next step.
struct background_task {
        int file, ready, done;
        const char *lines;
        size_t lines_len;
        sd_event_source *source;
};

// The data of a server's methods.
struct server {
        sd_event *loop;
        const char *lines;
        size_t lines_len;
};

static int on_null(sd_bus_message *call, void *data, sd_bus_error *error) {
        uint64_t number;
        int r = sd_bus_message_read(call, "t", &number);
        (void) data, (void) error;
        return r < 0 ? r : sd_bus_reply_method_return(call, "t", number + 1);
}

static int on_echo(sd_bus_message *call, void *data, sd_bus_error *error) {
        sd_bus_message *reply = NULL;
        const void *bytes;
        size_t len;
        int r = sd_bus_message_read_array(call, 'y', &bytes, &len);
        (void) data, (void) error;
        if (r >= 0)
                r = sd_bus_message_new_method_return(call, &reply);
        if (r >= 0)
                r = sd_bus_message_append_array(reply, 'y', bytes, len);
        if (r >= 0)
                r = sd_bus_send(NULL, reply, NULL);
        sd_bus_message_unref(reply);
        return r;
}

static int on_exchange(sd_bus_message *call, void *data, sd_bus_error *error) {
        int file, event;
        int r = sd_bus_message_read(call, "hh", &file, &event);
        (void) data, (void) error;
        return r < 0 ? r : sd_bus_reply_method_return(call, "h", event);
}

static int on_ready(sd_event_source *source, int fd, uint32_t events, void *data) {
        struct background_task *task = data;
        uint64_t count, one = 1;
        (void) source, (void) events;
        if (read(fd, &count, sizeof count) == sizeof count &&
            write(task->file, task->lines, task->lines_len) == (ssize_t) task->lines_len)
                (void) !write(task->done, &one, sizeof one);
        sd_event_source_disable_unref(task->source);
        close(task->file), close(task->ready), close(task->done);
        free(task);
        return 0;
}

static int on_sparkle(sd_bus_message *call, void *data, sd_bus_error *error) {
        struct server *server = data;
        int file, ready;
        int r = sd_bus_message_read(call, "hh", &file, &ready);
        struct background_task *task;
        (void) error;
        if (r < 0)
                return r;
        task = calloc(1, sizeof *task);
        if (!task)
                return -ENOMEM;
        // The descriptors are duplicated, because the message closes its own.
        task->file = fcntl(file, F_DUPFD_CLOEXEC, 3);
        task->ready = fcntl(ready, F_DUPFD_CLOEXEC, 3);
        task->done = eventfd(0, EFD_CLOEXEC);
        task->lines = server->lines;
        task->lines_len = server->lines_len;
        r = sd_event_add_io(server->loop, &task->source, task->ready, EPOLLIN, on_ready, task);
        return r < 0 ? r : sd_bus_reply_method_return(call, "h", task->done);
}

static const sd_bus_vtable METHODS[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD("Null", "t", "t", on_null, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Echo", "ay", "ay", on_echo, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Exchange", "hh", "h", on_exchange, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Sparkle", "hh", "h", on_sparkle, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_VTABLE_END,
};

// Frees the connection of a client that has disconnected. Only the loop held a reference.
static int on_disconnected(sd_bus_message *message, void *data, sd_bus_error *error) {
        (void) data, (void) error;
        sd_bus_close_unref(sd_bus_message_get_bus(message));
        return 0;
}

// Adds a connection to the loop. Takes ownership of the descriptor.
static int add_client(struct server *server, int fd) {
        sd_bus *bus = NULL;
        sd_id128_t id;
        int r = sd_id128_randomize(&id);
        if (r >= 0)
                r = sd_bus_new(&bus);
        if (r < 0) {
                close(fd);
                return r;
        }
        r = sd_bus_set_fd(bus, fd, fd);
        if (r < 0)
                close(fd);
        if (r >= 0)
                r = sd_bus_set_server(bus, 1, id);
        if (r >= 0)
                r = sd_bus_negotiate_fds(bus, 1);
        if (r >= 0)
                r = sd_bus_add_object_vtable(bus, NULL, PATH, INTERFACE, METHODS, server);
        if (r >= 0)
                r = sd_bus_start(bus);
        if (r >= 0)
                r = sd_bus_attach_event(bus, server->loop, 0);
        if (r >= 0)
                r = sd_bus_match_signal_async(bus, NULL, NULL, "/org/freedesktop/DBus/Local",
                                              "org.freedesktop.DBus.Local", "Disconnected",
                                              on_disconnected, NULL, NULL);
        if (r < 0)
                sd_bus_close_unref(bus);
        return r;
}

// Accepts a client, unless another loop has already accepted it.
static int on_client(sd_event_source *source, int listener, uint32_t events, void *data) {
        int client = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        (void) source, (void) events;
        if (client >= 0)
                (void) add_client(data, client);
        return 0;
}

// Serves the clients of a listening socket forever. Other threads may accept from the same socket.
int bench_serve(int listener, const char *lines, size_t lines_len) {
        struct server server = { .lines = lines, .lines_len = lines_len };
        int r = sd_event_new(&server.loop);
        if (r >= 0)
                r = sd_event_add_io(server.loop, NULL, listener, EPOLLIN, on_client, &server);
        if (r >= 0)
                r = sd_event_loop(server.loop);
        sd_event_unref(server.loop);
        return r;
}

// Connects over a socket. Takes ownership of the descriptor.
int bench_connect(int fd, sd_bus **out) {
        sd_bus *bus = NULL;
        int r = sd_bus_new(&bus);
        if (r >= 0)
                r = sd_bus_set_fd(bus, fd, fd);
        if (r >= 0)
                r = sd_bus_negotiate_fds(bus, 1);
        if (r >= 0)
                r = sd_bus_start(bus);
        if (r < 0)
                sd_bus_unref(bus);
        else
                *out = bus;
        return r;
}

void bench_close(sd_bus *bus) {
        sd_bus_flush_close_unref(bus);
}

int bench_null(sd_bus *bus, uint64_t number, uint64_t *out) {
        sd_bus_message *reply = NULL;
        int r = sd_bus_call_method(bus, NULL, PATH, INTERFACE, "Null", NULL, &reply, "t", number);
        if (r >= 0)
                r = sd_bus_message_read(reply, "t", out);
        sd_bus_message_unref(reply);
        return r;
}

// The state of calls in flight.
struct flight {
        unsigned left, wrong;
};

static int on_reply(sd_bus_message *reply, void *data, sd_bus_error *error) {
        struct flight *flight = data;
        uint64_t number = 0;
        (void) error;
        flight->left--;
        if (sd_bus_message_read(reply, "t", &number) < 0 || number != 2)
                flight->wrong++;
        return 0;
}

// Makes several calls at once, and waits for all replies.
int bench_flight(sd_bus *bus, unsigned calls) {
        struct flight flight = { .left = 0 };
        int r = 0;
        for (unsigned i = 0; i < calls && r >= 0; i++) {
                r = sd_bus_call_method_async(bus, NULL, NULL, PATH, INTERFACE, "Null", on_reply,
                                             &flight, "t", (uint64_t) 1);
                if (r >= 0)
                        flight.left++;
        }
        while (r >= 0 && flight.left > 0) {
                r = sd_bus_process(bus, NULL);
                if (r == 0)
                        r = sd_bus_wait(bus, UINT64_MAX);
        }
        return r < 0 ? r : flight.wrong ? -EBADMSG : 0;
}

int bench_echo(sd_bus *bus, const void *bytes, size_t len, size_t *out) {
        sd_bus_message *call = NULL, *reply = NULL;
        const void *returned;
        int r = sd_bus_message_new_method_call(bus, &call, NULL, PATH, INTERFACE, "Echo");
        if (r >= 0)
                r = sd_bus_message_append_array(call, 'y', bytes, len);
        if (r >= 0)
                r = sd_bus_call(bus, call, 0, NULL, &reply);
        if (r >= 0)
                r = sd_bus_message_read_array(reply, 'y', &returned, out);
        sd_bus_message_unref(reply);
        sd_bus_message_unref(call);
        return r;
}

// Calls a method that takes a file and an event. The caller owns the returned descriptor.
int bench_handles(sd_bus *bus, const char *method, int file, int event, int *out) {
        sd_bus_message *reply = NULL;
        int returned;
        int r = sd_bus_call_method(bus, NULL, PATH, INTERFACE, method, NULL, &reply, "hh", file, event);
        if (r >= 0)
                r = sd_bus_message_read(reply, "h", &returned);
        if (r >= 0) {
                // The descriptors are duplicated, because the message closes its own.
                *out = fcntl(returned, F_DUPFD_CLOEXEC, 3);
                r = *out < 0 ? -errno : 0;
        }
        sd_bus_message_unref(reply);
        return r;
}
