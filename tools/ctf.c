/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <fts.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <babeltrace2/babeltrace.h>
#include "base/bits.h"
#include "ctf.h"
#include "names.h"

#define EVENT_PREFIX "cascade:"
#define FOLDERS_MAX  64
#define CLASSES_MAX  256

enum member { M_LEVEL, M_CPU, M_AUX, M_A, M_B, MEMBERS };

/* What is known of an event class: which event it is and where its payload has the members of a record. */
struct class_map {
        const bt_event_class *class;
        bool ours;
        uint8_t event;
        int index[MEMBERS]; /* -1: not there */
};

struct folders {
        char *path[FOLDERS_MAX];
        size_t count;
};

struct reader {
        struct folders folders;
        ctf_record_fn *fn;
        void *user;
        struct ctf_result *result;
        bool stopped;
        bt_message_iterator *messages;
        struct class_map map[CLASSES_MAX];
        size_t maps;
};

static int member_index(const bt_field_class *payload, const char *name)
{
        const uint64_t n = bt_field_class_structure_get_member_count(payload);
        for (uint64_t i = 0; i < n; i++) {
                const bt_field_class_structure_member *m =
                        bt_field_class_structure_borrow_member_by_index_const(payload, i);
                const bt_field_class *c = bt_field_class_structure_member_borrow_field_class_const(m);
                if (!strcmp(bt_field_class_structure_member_get_name(m), name))
                        return bt_field_class_type_is(bt_field_class_get_type(c),
                                                      BT_FIELD_CLASS_TYPE_UNSIGNED_INTEGER)
                                       ? (int)i
                                       : -1;
        }
        return -1;
}

static void map_class(struct class_map *m, const bt_event_class *class)
{
        const char *name = bt_event_class_get_name(class);
        const bt_field_class *payload = bt_event_class_borrow_payload_field_class_const(class);
        *m = (struct class_map){.class = class};
        if (!name || !payload || strncmp(name, EVENT_PREFIX, strlen(EVENT_PREFIX)))
                return;
        for (size_t i = 0; i < event_names_len; i++) {
                const struct event_name *e = &event_names[i];
                if (strcasecmp(name + strlen(EVENT_PREFIX), e->name))
                        continue;
                const char *const names[MEMBERS] = {"level", "cpu", e->aux, e->a, e->b};
                for (size_t k = 0; k < MEMBERS; k++)
                        m->index[k] = member_index(payload, names[k]);
                m->event = e->event;
                m->ours = m->index[M_LEVEL] >= 0 && m->index[M_CPU] >= 0;
        }
}

static const struct class_map *map_of(struct reader *r, const bt_event_class *class)
{
        for (size_t i = 0; i < r->maps; i++) {
                if (r->map[i].class == class)
                        return &r->map[i];
        }
        if (r->maps == CLASSES_MAX)
                return NULL;
        map_class(&r->map[r->maps], class);
        return &r->map[r->maps++];
}

static uint64_t member(const bt_field *payload, int index)
{
        if (index < 0)
                return 0;
        return bt_field_integer_unsigned_get_value(
                bt_field_structure_borrow_member_field_by_index_const(payload, (uint64_t)index));
}

static void take_event(struct reader *r, const bt_message *msg)
{
        const bt_event *event = bt_message_event_borrow_event_const(msg);
        const bt_event_class *class = bt_event_borrow_class_const(event);
        const struct class_map *m = map_of(r, class);
        const bt_stream_class *stream = bt_event_class_borrow_stream_class_const(class);
        if (!m || !m->ours || !bt_stream_class_borrow_default_clock_class_const(stream)) {
                r->result->foreign++;
                return;
        }
        const bt_field *payload = bt_event_borrow_payload_field_const(event);
        const struct trace_record record = {
                .tsc = bt_clock_snapshot_get_value(bt_message_event_borrow_default_clock_snapshot_const(msg)),
                .event = m->event,
                .level = (uint8_t)member(payload, m->index[M_LEVEL]),
                .cpu = (uint8_t)member(payload, m->index[M_CPU]),
                .aux = (uint32_t)member(payload, m->index[M_AUX]),
                .a = member(payload, m->index[M_A]),
                .b = member(payload, m->index[M_B]),
        };
        r->stopped = !r->fn(r->user, &record);
}

static bt_graph_simple_sink_component_initialize_func_status sink_init(bt_message_iterator *messages,
                                                                       void *user)
{
        ((struct reader *)user)->messages = messages;
        return BT_GRAPH_SIMPLE_SINK_COMPONENT_INITIALIZE_FUNC_STATUS_OK;
}

static bt_graph_simple_sink_component_consume_func_status sink_consume(bt_message_iterator *messages,
                                                                       void *user)
{
        struct reader *r = user;
        bt_message_array_const batch;
        uint64_t n, discarded;
        const bt_message_iterator_next_status s = bt_message_iterator_next(messages, &batch, &n);
        if (s != BT_MESSAGE_ITERATOR_NEXT_STATUS_OK)
                return (bt_graph_simple_sink_component_consume_func_status)
                        s; /* the common codes have common values */
        for (uint64_t i = 0; i < n; i++) {
                const bt_message_type type = bt_message_get_type(batch[i]);
                if (type == BT_MESSAGE_TYPE_EVENT && !r->stopped)
                        take_event(r, batch[i]);
                if (type == BT_MESSAGE_TYPE_DISCARDED_EVENTS &&
                    bt_message_discarded_events_get_count(batch[i], &discarded) ==
                            BT_PROPERTY_AVAILABILITY_AVAILABLE)
                        r->result->discarded += discarded;
                bt_message_put_ref(batch[i]);
        }
        return r->stopped ? BT_GRAPH_SIMPLE_SINK_COMPONENT_CONSUME_FUNC_STATUS_END
                          : BT_GRAPH_SIMPLE_SINK_COMPONENT_CONSUME_FUNC_STATUS_OK;
}

/* Collects the folders below (and with) `root` that hold a file `metadata`. */
static enum ctf_verdict find_traces(const char *root, struct folders *f)
{
        char *const roots[] = {(char *)root, NULL};
        FTS *tree = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
        FTSENT *e;
        if (!tree)
                return CTF_NO_FOLDER;
        while ((e = fts_read(tree)) && f->count < FOLDERS_MAX) {
                if (e->fts_level == FTS_ROOTLEVEL && e->fts_info != FTS_D && e->fts_info != FTS_DP) {
                        const int why = e->fts_errno ? e->fts_errno : ENOTDIR;
                        fts_close(tree);
                        errno = why;
                        return CTF_NO_FOLDER;
                }
                if (e->fts_info != FTS_F || strcmp(e->fts_name, "metadata"))
                        continue;
                f->path[f->count] = strndup(e->fts_path, e->fts_pathlen - strlen("/metadata"));
                if (f->path[f->count])
                        f->count++;
        }
        fts_close(tree);
        return f->count ? CTF_OK : CTF_NO_TRACE;
}

/* CTF 1.8 "TSDL metadata": packets that begin with a magic word, or text that begins with a comment. */
static bool is_ctf(const char *folder)
{
        static const char text[] = "/* CTF 1";
        static const unsigned char little[] = {0x57, 0x1d, 0xd1, 0x75}, big[] = {0x75, 0xd1, 0x1d, 0x57};
        char path[PATH_MAX];
        char start[sizeof(text)] = {0};
        snprintf(path, sizeof(path), "%s/metadata", folder);
        FILE *f = fopen(path, "r");
        const size_t n = f ? fread(start, 1, sizeof(start) - 1, f) : 0;
        if (f)
                fclose(f);
        return n == sizeof(start) - 1 && (!strcmp(start, text) || !memcmp(start, little, sizeof(little)) ||
                                          !memcmp(start, big, sizeof(big)));
}

static void keep_reason(struct ctf_result *result)
{
        const bt_error *error = bt_current_thread_take_error();
        if (!error)
                return;
        /* Causes go from the innermost outwards. */
        if (bt_error_get_cause_count(error))
                snprintf(result->why, sizeof(result->why), "%s",
                         bt_error_cause_get_message(bt_error_borrow_cause_by_index(error, 0)));
        bt_error_release(error);
        for (char *p = result->why; *p; p++) {
                if (*p == '\n')
                        *p = ' ';
        }
}

static const bt_component_source *add_source(bt_graph *graph, const bt_plugin *ctf, const char *folder,
                                             size_t i)
{
        const bt_component_source *source = NULL;
        char name[32];
        bt_value *params = bt_value_map_create(), *inputs = NULL;
        snprintf(name, sizeof(name), "trace%zu", i);
        if (params && !bt_value_map_insert_empty_array_entry(params, "inputs", &inputs) &&
            !bt_value_array_append_string_element(inputs, folder))
                bt_graph_add_source_component(
                        graph, bt_plugin_borrow_source_component_class_by_name_const(ctf, "fs"), name, params,
                        BT_LOGGING_LEVEL_NONE, &source);
        bt_value_put_ref(params);
        return source;
}

/* The muxer always offers one more input port than is connected. */
static bool connect_source(bt_graph *graph, const bt_component_source *source,
                           const bt_component_filter *muxer)
{
        const uint64_t n = bt_component_source_get_output_port_count(source);
        for (uint64_t i = 0; i < n; i++) {
                const uint64_t in = bt_component_filter_get_input_port_count(muxer) - 1;
                if (bt_graph_connect_ports(
                            graph, bt_component_source_borrow_output_port_by_index_const(source, i),
                            bt_component_filter_borrow_input_port_by_index_const(muxer, in), NULL))
                        return false;
        }
        return true;
}

static enum ctf_verdict build(bt_graph *graph, const bt_plugin *ctf, const bt_plugin *utils, struct reader *r)
{
        const bt_component_filter *muxer = NULL;
        const bt_component_sink *sink = NULL;
        if (bt_graph_add_filter_component(
                    graph, bt_plugin_borrow_filter_component_class_by_name_const(utils, "muxer"), "muxer",
                    NULL, BT_LOGGING_LEVEL_NONE, &muxer) ||
            bt_graph_add_simple_sink_component(graph, "account", sink_init, sink_consume, NULL, r, &sink) ||
            bt_graph_connect_ports(graph, bt_component_filter_borrow_output_port_by_index_const(muxer, 0),
                                   bt_component_sink_borrow_input_port_by_index_const(sink, 0), NULL))
                return CTF_FAILED;
        for (size_t i = 0; i < r->folders.count; i++) {
                const bt_component_source *source = add_source(graph, ctf, r->folders.path[i], i);
                if (!source)
                        return is_ctf(r->folders.path[i]) ? CTF_DAMAGED : CTF_NO_TRACE;
                if (!connect_source(graph, source, muxer))
                        return CTF_FAILED;
        }
        return CTF_OK;
}

static enum ctf_verdict run(const bt_plugin *ctf, const bt_plugin *utils, struct reader *r)
{
        bt_graph *graph = bt_graph_create(0);
        enum ctf_verdict v = graph ? build(graph, ctf, utils, r) : CTF_FAILED;
        if (v == CTF_OK) {
                bt_graph_run_status s;
                do {
                        s = bt_graph_run(graph);
                } while (s == BT_GRAPH_RUN_STATUS_AGAIN);
                v = s == BT_GRAPH_RUN_STATUS_OK ? CTF_OK : CTF_DAMAGED;
        }
        if (v != CTF_OK)
                keep_reason(r->result);
        bt_graph_put_ref(graph);
        return v == CTF_OK && r->stopped ? CTF_STOPPED : v;
}

enum ctf_verdict ctf_read(const char *folder, ctf_record_fn *fn, void *user, struct ctf_result *result)
{
        const bt_plugin *ctf = NULL, *utils = NULL;
        struct reader *r = calloc(1, sizeof(*r));
        memset(result, 0, sizeof(*result));
        if (!r)
                return CTF_FAILED;
        r->fn = fn;
        r->user = user;
        r->result = result;
        enum ctf_verdict v = find_traces(folder, &r->folders);
        if (v == CTF_OK) {
                if (bt_plugin_find("ctf", true, true, true, true, false, &ctf) ||
                    bt_plugin_find("utils", true, true, true, true, false, &utils))
                        v = CTF_FAILED;
                else
                        v = run(ctf, utils, r);
        }
        for (size_t i = 0; i < r->folders.count; i++)
                free(r->folders.path[i]);
        bt_plugin_put_ref(ctf);
        bt_plugin_put_ref(utils);
        free(r);
        return v;
}
