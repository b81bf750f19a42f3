/* libwebsockets as a guest on our loop.
 *
 * Trust: libwebsockets 4.1 reads one CA certificate only, verifies addresses as if they were names and sends "[" as the
 * server name of an IPv6 host. So tls.c makes the TLS context, which is handed over, one vhost for each distinct trust
 * and name to verify. Lifetime: a stream that is over, or was cancelled, is cut loose from its wsi at once and freed at
 * the end of the turn. */
#include "io/ws.h"

#include "base/list.h"
#include "io/descriptors.h"
#include "io/loop.h"
#include "text/url.h"
#include "tls.h"
#include "ws_tuning.h"

#include <libwebsockets.h>

#include <stdint.h>
#include <string.h>

enum {
    OPEN_TIMEOUT_MS = 30 * 1000,
    LIBRARY_TIMEOUT_S = 600, /* ours come first */
    PING_S = 20,
    HANGUP_S = 45,
    RX_PIECE = 4096,
    REQUEST_MOST = 16 * 1024, /* the whole handshake, a long bearer token included */
    HEADERS_MOST = 8 * 1024,  /* method, path and headers while the handshake lasts */
    STREAMS_MOST = 16 * 1024, /* the library's tables for them take 16 bytes each */
    CLOSING_TURNS = 4,
};

#define PROTOCOL "dataops"

struct trust {
    struct list node;
    char key[DIGEST_HEX];
    struct tls_context *tls; /* NULL: plain TCP */
    struct lws_vhost *vhost;
};

struct ws {
    struct loop *loop;
    struct lws_context *context;
    lws_retry_bo_t policy;
    struct list streams, trusts;
    unsigned turns_to_wait;
};

struct ws_stream {
    struct list node;
    struct ws *ws;
    struct trust *trust;
    const struct ws_events *events; /* NULL: cancelled */
    void *owner;
    struct lws *wsi;
    struct resolve *resolve;
    struct timer *open_timer, *next_timer;
    char *host, *origin, *path, *protocol, *bearer, *user_agent;
    char *address[3]; /* to try, in order */
    unsigned addresses, address_next;
    unsigned port;
    int flags;
    int status;
    bool trying; /* a connect is under way */
    bool opened, peer_closed, over;
    struct error error;
};

/* --- the end of a stream --- */

static void stream_free(void *owner)
{
    struct ws_stream *stream = owner;
    list_remove(&stream->node);
    mem_free(stream->host);
    mem_free(stream->origin);
    mem_free(stream->path);
    mem_free(stream->protocol);
    mem_free(stream->user_agent);
    mem_wipe_free(stream->bearer, stream->bearer ? strlen(stream->bearer) : 0);
    for (unsigned i = 0; i < stream->addresses; i++)
        mem_free(stream->address[i]);
    mem_free(stream);
}

static void stream_deliver(void *owner)
{
    struct ws_stream *stream = owner;
    const struct ws_events *events = stream->events;
    stream->events = NULL;
    if (events)
        events->closed(stream->owner, stream->status, stream->opened, &stream->error);
    stream_free(stream);
}

static void stream_cut_loose(struct ws_stream *stream)
{
    timer_stop(&stream->open_timer);
    timer_stop(&stream->next_timer);
    loop_resolve_cancel(stream->resolve);
    stream->resolve = NULL;
    if (stream->wsi)
        lws_set_opaque_user_data(stream->wsi, NULL);
    stream->wsi = NULL;
}

static void stream_over(struct ws_stream *stream)
{
    if (stream->over)
        return;
    stream->over = true;
    stream_cut_loose(stream);
    loop_later(stream->ws->loop, stream_deliver, stream);
}

void ws_cancel(struct ws_stream *stream)
{
    if (stream == NULL)
        return;
    stream->events = NULL;
    if (stream->over)
        return; /* stream_deliver is on its way */
    stream->over = true;
    struct lws *wsi = stream->wsi;
    stream_cut_loose(stream);
    if (wsi)
        lws_set_timeout(wsi, PENDING_TIMEOUT_USER_REASON_BASE, LWS_TO_KILL_ASYNC);
    loop_later(stream->ws->loop, stream_free, stream);
}

static void open_too_late(void *owner)
{
    struct ws_stream *stream = owner;
    struct lws *wsi = stream->wsi;
    error_set(&stream->error, BLAME_TIMEOUT, 0, "websocket %s: no answer in time", stream->origin);
    stream_over(stream);
    if (wsi)
        lws_set_timeout(wsi, PENDING_TIMEOUT_USER_REASON_BASE, LWS_TO_KILL_ASYNC);
}

/* --- what libwebsockets tells --- */

static void stream_connect(void *owner);

static int add_header(struct lws *wsi, const char *name, const char *value, unsigned char **at, unsigned char *end)
{
    return lws_add_http_header_by_name(wsi, (const unsigned char *)name, (const unsigned char *)value,
                                       (int)strlen(value), at, end);
}

static int add_headers(struct ws_stream *stream, struct lws *wsi, unsigned char **at, size_t room)
{
    unsigned char *end = *at + room;
    int failed = 0;
    if (stream->user_agent)
        failed |= add_header(wsi, "User-Agent:", stream->user_agent, at, end);
    if (stream->bearer) {
        char *value = mem_format("Bearer %s", stream->bearer);
        failed |= add_header(wsi, "Authorization:", value, at, end);
        mem_wipe_free(value, strlen(value));
    }
    if (failed)
        error_set(&stream->error, BLAME_CONFIG, 0, "websocket %s: the token is too long", stream->origin);
    return failed ? -1 : 0;
}

static void explain_refusal(struct ws_stream *stream, const char *words)
{
    const struct trust *trust = stream->trust;
    if (stream->error.blame != BLAME_NONE)
        return;
    if (stream->status)
        error_set(&stream->error, stream->status == 401 || stream->status == 403 ? BLAME_DENIED : BLAME_REMOTE,
                  stream->status, "websocket %s: refused with status %d", stream->origin, stream->status);
    else if (!trust->tls || !tls_context_explain(trust->tls, stream->origin, &stream->error))
        error_set(&stream->error, BLAME_REMOTE, 0, "websocket %s: cannot connect: %s", stream->origin, words);
}

static void connection_failed(struct ws_stream *stream, struct lws *wsi, const char *words, size_t length)
{
    char text[128] = "no reason given";
    if (words && length > 0) {
        length = length < sizeof text ? length : sizeof text - 1;
        memcpy(text, words, length);
        text[length] = '\0';
    }
    if (words)
        stream->status = (int)lws_http_client_http_response(wsi);
    explain_refusal(stream, text);
    stream->trying = false;
    if (stream->status != 0 || stream->error.blame != BLAME_REMOTE || stream->address_next == stream->addresses) {
        stream_over(stream);
        return;
    }
    stream->error = ERROR_NONE;
    lws_set_opaque_user_data(wsi, NULL);
    stream->wsi = NULL;
    loop_after(stream->ws->loop, &stream->next_timer, 0, stream_connect, stream);
}

static void connection_closed(struct ws_stream *stream)
{
    if (!stream->peer_closed && stream->error.blame == BLAME_NONE)
        error_set(&stream->error, BLAME_REMOTE, 0, "websocket %s: the connection was lost", stream->origin);
    stream_over(stream);
}

static void established(struct ws_stream *stream)
{
    timer_stop(&stream->open_timer);
    stream->opened = true;
    stream->status = 101;
    if (stream->events->opened)
        stream->events->opened(stream->owner);
}

static int callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t length)
{
    (void)user;
    struct ws_stream *stream = wsi ? lws_get_opaque_user_data(wsi) : NULL;
    switch ((int)reason) {
    case LWS_CALLBACK_CLIENT_APPEND_HANDSHAKE_HEADER:
        return stream ? add_headers(stream, wsi, in, length) : -1;
    case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
        if (stream)
            connection_failed(stream, wsi, in, length);
        return 0;
    case LWS_CALLBACK_CLIENT_ESTABLISHED:
        if (stream)
            established(stream);
        break;
    case LWS_CALLBACK_CLIENT_RECEIVE:
        if (stream && stream->events->data)
            stream->events->data(stream->owner, in, length, lws_is_final_fragment(wsi) != 0);
        break;
    case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
        if (stream)
            stream->peer_closed = true;
        return 0;
    case LWS_CALLBACK_CLIENT_CLOSED:
        if (stream)
            connection_closed(stream);
        return 0;
    case LWS_CALLBACK_WSI_DESTROY:
        /* some failures, an over-long handshake among them, are told in no other way */
        if (stream && stream->opened)
            connection_closed(stream);
        else if (stream)
            connection_failed(stream, wsi, NULL, 0);
        return 0;
    default:
        return 0;
    }
    /* the stream may have been cancelled in the meantime: then the connection ends as well */
    return lws_get_opaque_user_data(wsi) ? 0 : -1;
}

static const struct lws_protocols protocols[] = {
    { .name = PROTOCOL, .callback = callback, .rx_buffer_size = RX_PIECE },
    { .name = NULL },
};

/* --- trust --- */

static void trust_free(struct trust *trust)
{
    list_remove(&trust->node);
    tls_context_free(trust->tls);
    mem_free(trust);
}

/* tls NULL: plain TCP. The same trust gives the same vhost, which lives as long as ws. */
static struct trust *trust_for(struct ws *ws, const struct http_tls *tls, const char *host, struct error *error)
{
    char key[DIGEST_HEX] = "plain";
    if (tls)
        tls_key(key, tls, host);
    LIST_EACH(node, &ws->trusts)
    {
        struct trust *known = list_of(node, struct trust, node);
        if (strcmp(known->key, key) == 0)
            return known;
    }
    struct trust *trust = mem_new(sizeof *trust);
    memcpy(trust->key, key, sizeof key);
    list_append(&ws->trusts, &trust->node);
    struct lws_context_creation_info info = { .port = CONTEXT_PORT_NO_LISTEN,
                                              .protocols = protocols,
                                              .vhost_name = trust->key };
    if (tls) {
        trust->tls = tls_context_new(tls, host, error);
        if (!trust->tls) {
            trust_free(trust);
            return NULL;
        }
        info.options = LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT;
        info.provided_client_ssl_ctx = tls_context_native(trust->tls);
    }
    trust->vhost = lws_create_vhost(ws->context, &info);
    if (trust->vhost)
        return trust;
    error_set(error, BLAME_SYSTEM, 0, "libwebsockets: no vhost");
    trust_free(trust);
    return NULL;
}

/* --- the start of a stream --- */

static void stream_connect(void *owner)
{
    struct ws_stream *stream = owner;
    struct lws_client_connect_info info = {
        .context = stream->ws->context,
        .vhost = stream->trust->vhost,
        .address = stream->address[stream->address_next],
        .port = (int)stream->port,
        .ssl_connection = stream->flags,
        .path = stream->path,
        .host = strstr(stream->origin, "://") + 3,
        .origin = strstr(stream->origin, "://") + 3,
        .protocol = stream->protocol,
        .local_protocol_name = PROTOCOL,
        .alpn = "http/1.1",
        .pwsi = &stream->wsi,
        .opaque_user_data = stream,
        .retry_and_idle_policy = &stream->ws->policy,
    };
    stream->address_next++;
    stream->trying = true;
    if (lws_client_connect_via_info(&info) == NULL && stream->trying) {
        stream->wsi = NULL;
        explain_refusal(stream, "no connection could be begun");
        stream_over(stream);
    }
}

static void stream_resolved(void *owner, const char *address, const struct error *error)
{
    struct ws_stream *stream = owner;
    const struct resolve *resolve = stream->resolve;
    stream->resolve = NULL;
    if (!address) {
        stream->error = *error;
        stream_over(stream);
        return;
    }
    for (unsigned i = 0; i < COUNT_OF(stream->address) && loop_resolve_address(resolve, i); i++)
        stream->address[stream->addresses++] = mem_text(loop_resolve_address(resolve, i));
    stream_connect(stream);
}

static int stream_fill(struct ws_stream *stream, const struct ws_request *request)
{
    struct url url = URL_EMPTY;
    struct error *error = &stream->error;
    if (url_parse(request->url, &url, error) < 0)
        return -1;
    static const struct http_tls standard = { 0 };
    const struct http_tls *tls = request->tls ? request->tls : &standard;
    bool secure = strcmp(url.scheme, "https") == 0;
    stream->host = mem_text(url.host);
    stream->port = url.port;
    stream->origin = url_origin(&url);
    stream->path =
        mem_format("%s%s%s", url.path && *url.path ? url.path : "/", url.query ? "?" : "", url.query ? url.query : "");
    stream->protocol = mem_text(request->protocol);
    stream->bearer = mem_text(request->bearer);
    stream->user_agent = mem_text(request->user_agent);
    /* the name is verified by the TLS context that tls.c made */
    stream->flags = secure ? LCCSCF_USE_SSL | LCCSCF_SKIP_SERVER_CERT_HOSTNAME_CHECK | LCCSCF_HTTP_NO_FOLLOW_REDIRECT
                           : LCCSCF_HTTP_NO_FOLLOW_REDIRECT;
    if (secure && tls->insecure)
        stream->flags |= LCCSCF_ALLOW_SELFSIGNED | LCCSCF_ALLOW_EXPIRED | LCCSCF_ALLOW_INSECURE;
    stream->trust = trust_for(stream->ws, secure ? tls : NULL, url.host, error);
    url_clear(&url);
    return stream->trust ? 0 : -1;
}

struct ws_stream *ws_open(struct ws *ws, const struct ws_request *request, const struct ws_events *events, void *owner)
{
    struct ws_stream *stream = mem_new(sizeof *stream);
    stream->ws = ws;
    stream->events = events;
    stream->owner = owner;
    list_append(&ws->streams, &stream->node);
    if (stream_fill(stream, request) < 0) {
        stream_over(stream);
        return stream;
    }
    loop_after(ws->loop, &stream->open_timer, request->open_timeout_ms ? request->open_timeout_ms : OPEN_TIMEOUT_MS,
               open_too_late, stream);
    stream->resolve = loop_resolve(ws->loop, stream->host, stream_resolved, stream);
    return stream;
}

/* --- the client --- */

void ws_tune(struct ws *ws, unsigned ping_s, unsigned hangup_s)
{
    ws->policy.secs_since_valid_ping = (uint16_t)ping_s;
    ws->policy.secs_since_valid_hangup = (uint16_t)hangup_s;
}

/* As many as the process may open; the library sets a ceiling of its own at start. */
static unsigned streams_most(void)
{
    uint64_t most = descriptors_most();
    return most < STREAMS_MOST ? (unsigned)most : STREAMS_MOST;
}

struct ws *ws_new(struct loop *loop)
{
    struct ws *ws = mem_new(sizeof *ws);
    void *loops[1] = { loop_native(loop) };
    ws->loop = loop;
    list_init(&ws->streams);
    list_init(&ws->trusts);
    ws_tune(ws, PING_S, HANGUP_S);
    lws_set_log_level(0, NULL); /* it would print headers */
    struct lws_context_creation_info info = {
        .port = CONTEXT_PORT_NO_LISTEN,
        .gid = -1,
        .uid = -1,
        .options = LWS_SERVER_OPTION_LIBUV | LWS_SERVER_OPTION_EXPLICIT_VHOSTS | LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT,
        .foreign_loops = loops,
        .pcontext = &ws->context,
        .pt_serv_buf_size = REQUEST_MOST,
        .max_http_header_data = HEADERS_MOST,
        .fd_limit_per_thread = streams_most(),
        .timeout_secs = LIBRARY_TIMEOUT_S,
        .connect_timeout_secs = LIBRARY_TIMEOUT_S,
    };
    ws->context = lws_create_context(&info);
    if (ws->context)
        return ws;
    mem_free(ws);
    return NULL;
}

static void ws_free_now(void *owner)
{
    struct ws *ws = owner;
    LIST_EACH_SAFE(node, &ws->trusts)
    {
        trust_free(list_of(node, struct trust, node));
    }
    mem_free(ws);
}

/* With a foreign loop the context goes in two steps. The first closes connections; when libuv has let go of them, at
 * the end of that turn, the library closes its own timers, which takes another turn; only then may the second step free
 * everything. */
static void context_destroy(void *owner)
{
    struct ws *ws = owner;
    if (ws->context && ws->turns_to_wait-- == 0) {
        ws->turns_to_wait = CLOSING_TURNS;
        lws_context_destroy(ws->context); /* sets it to NULL at the second time */
    }
    loop_later(ws->loop, ws->context ? context_destroy : ws_free_now, ws);
}

void ws_free(struct ws *ws)
{
    if (ws == NULL)
        return;
    LIST_EACH_SAFE(node, &ws->streams)
    {
        struct ws_stream *stream = list_of(node, struct ws_stream, node);
        list_remove(node);
        ws_cancel(stream);
    }
    /* never inside one of its own callbacks */
    loop_later(ws->loop, context_destroy, ws);
}
