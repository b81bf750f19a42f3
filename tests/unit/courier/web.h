/*
 * The other side of courier's network, for its tests: a small HTTP server as a process of its own. It answers by rules,
 * keeps what it was asked in files, and serves git repositories through git's own http-backend.
 */
#ifndef TESTS_COURIER_WEB_H
#define TESTS_COURIER_WEB_H

#include "courier/pod.h"

#include "text/digest.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#define WEB_RULES 16

/* The first rule that fits answers; one that has answered `times` times is passed over (0: any number). */
struct web_rule {
    const char *method, *path; /* path: beginning of the target */
    int status;
    const char *headers;   /* lines with CRLF, or NULL */
    const char *body;      /* text, or NULL */
    const char *body_file; /* instead of body */
    unsigned times, used;
};

struct web {
    char folder[256]; /* requests: one line each; body-N: body of the N-th */
    unsigned port;
    pid_t pid;
    const char *git_token; /* what git has to say; NULL: anybody may */
    struct web_rule rules[WEB_RULES];
    size_t rule_count;
    unsigned requests;
};

/* One request as it came. */
struct web_request {
    char method[16], target[2048];
    struct strbuf head, body;
};

static inline int web_fill(int fd, struct strbuf *buffer)
{
    char *room = strbuf_room(buffer, 65536);
    const ssize_t got = read(fd, room, 65536);
    if (got > 0)
        strbuf_wrote(buffer, (size_t)got);
    return got > 0 ? 0 : -1;
}

/* Gives the value of a header, or NULL (mem_free). */
static inline char *web_header(const struct web_request *request, const char *name)
{
    const char *found = strcasestr(strbuf_text(&request->head), name);
    if (!found || found == strbuf_text(&request->head) || found[-1] != '\n')
        return NULL;
    found += strlen(name);
    found += strspn(found, ": ");
    return mem_copy(found, strcspn(found, "\r\n"));
}

static inline void web_read_chunked(int fd, struct strbuf *raw, struct strbuf *body)
{
    for (;;) {
        char *line;
        while (!(line = memmem(strbuf_text(raw), raw->length, "\r\n", 2)))
            if (web_fill(fd, raw) < 0)
                return;
        const size_t size = strtoul(strbuf_text(raw), NULL, 16);
        strbuf_drop(raw, (size_t)(line - strbuf_text(raw)) + 2);
        while (raw->length < size + 2)
            if (web_fill(fd, raw) < 0)
                return;
        strbuf_add(body, strbuf_text(raw), size);
        strbuf_drop(raw, size + 2);
        if (size == 0)
            return;
    }
}

static inline int web_read(int fd, struct web_request *request)
{
    struct strbuf raw = STRBUF_EMPTY;
    char *end;
    while (!(end = raw.length ? memmem(strbuf_text(&raw), raw.length, "\r\n\r\n", 4) : NULL))
        if (web_fill(fd, &raw) < 0)
            return -1;
    const size_t head = (size_t)(end - strbuf_text(&raw)) + 4;
    strbuf_add(&request->head, strbuf_text(&raw), head);
    strbuf_drop(&raw, head);
    sscanf(strbuf_text(&request->head), "%15s %2047s", request->method, request->target);
    char *length = web_header(request, "Content-Length"), *encoding = web_header(request, "Transfer-Encoding");
    if (encoding && strcasestr(encoding, "chunked"))
        web_read_chunked(fd, &raw, &request->body);
    const size_t wanted = length ? strtoul(length, NULL, 10) : 0;
    while (wanted && raw.length < wanted)
        if (web_fill(fd, &raw) < 0)
            break;
    if (wanted)
        strbuf_add(&request->body, strbuf_text(&raw), raw.length < wanted ? raw.length : wanted);
    mem_free(length);
    mem_free(encoding);
    strbuf_clear(&raw);
    return 0;
}

static inline void web_write(int fd, const void *bytes, size_t length)
{
    for (size_t at = 0; at < length;) {
        const ssize_t wrote = write(fd, (const char *)bytes + at, length - at);
        if (wrote <= 0)
            return;
        at += (size_t)wrote;
    }
}

static inline void web_answer(int fd, int status, const char *headers, const void *body, size_t length)
{
    char head[4096];
    const int size = snprintf(head, sizeof head, "HTTP/1.1 %d X\r\nConnection: close\r\nContent-Length: %zu\r\n%s\r\n",
                              status, length, headers ? headers : "");
    web_write(fd, head, (size_t)size);
    web_write(fd, body, length);
}

/* --- git --- */

static inline bool web_is_allowed(const struct web *web, const struct web_request *request)
{
    struct strbuf wanted = STRBUF_EMPTY;
    char login[256];
    if (!web->git_token)
        return true;
    snprintf(login, sizeof login, "gitlab-ci-token:%s", web->git_token);
    strbuf_add_text(&wanted, "Basic ");
    base64_encode(login, strlen(login), &wanted);
    char *given = web_header(request, "Authorization");
    const bool allowed = given && strcmp(given, strbuf_text(&wanted)) == 0;
    mem_free(given);
    strbuf_clear(&wanted);
    return allowed;
}

static inline void web_git_become(const struct web *web, const struct web_request *request, int input, int output)
{
    char root[300], path[2048], *query;
    char *type = web_header(request, "Content-Type"), *encoding = web_header(request, "Content-Encoding");
    char *protocol = web_header(request, "Git-Protocol");
    snprintf(root, sizeof root, "%s/git", web->folder);
    snprintf(path, sizeof path, "%s", request->target);
    query = strchr(path, '?');
    if (query)
        *query++ = 0;
    setenv("GIT_PROJECT_ROOT", root, 1);
    setenv("GIT_HTTP_EXPORT_ALL", "1", 1);
    setenv("PATH_INFO", path, 1);
    setenv("QUERY_STRING", query ? query : "", 1);
    setenv("REQUEST_METHOD", request->method, 1);
    if (type)
        setenv("CONTENT_TYPE", type, 1);
    if (encoding)
        setenv("HTTP_CONTENT_ENCODING", encoding, 1);
    if (protocol)
        setenv("GIT_PROTOCOL", protocol, 1);
    dup2(input, 0);
    dup2(output, 1);
    execlp("git", "git", "http-backend", (char *)NULL);
    _exit(110);
}

static inline void web_git(const struct web *web, const struct web_request *request, int fd)
{
    int ends[2];
    struct strbuf answer = STRBUF_EMPTY;
    if (!web_is_allowed(web, request)) {
        web_answer(fd, 401, "WWW-Authenticate: Basic realm=\"x\"\r\n", "no", 2);
        return;
    }
    FILE *input = tmpfile();
    fwrite(strbuf_text(&request->body), 1, request->body.length, input);
    rewind(input);
    assert_int_equal(pipe(ends), 0);
    const pid_t pid = fork();
    if (pid == 0)
        web_git_become(web, request, fileno(input), ends[1]);
    close(ends[1]);
    while (web_fill(ends[0], &answer) == 0)
        continue;
    close(ends[0]);
    fclose(input);
    waitpid(pid, NULL, 0);
    const char *text = strbuf_text(&answer), *end = memmem(text, answer.length, "\r\n\r\n", 4);
    if (!end) {
        web_answer(fd, 500, NULL, text, answer.length);
    } else {
        char headers[3000];
        snprintf(headers, sizeof headers, "%.*s\r\n", (int)(end - text), text);
        const char *status = strncmp(headers, "Status: ", 8) == 0 ? headers + 8 : "200";
        web_answer(fd, (int)strtol(status, NULL, 10), headers, end + 4, answer.length - (size_t)(end + 4 - text));
    }
    strbuf_clear(&answer);
}

/* --- rules --- */

/* Gives the body of a rule; mem_free. */
static inline char *web_text(const struct web *web, const char *body)
{
    static const char mark[] = "@ORIGIN@";
    const char *found = strstr(body, mark);
    if (!found)
        return mem_text(body);
    return mem_format("%.*shttp://127.0.0.1:%u%s", (int)(found - body), body, web->port, found + sizeof mark - 1);
}

static inline void web_by_rule(struct web *web, const struct web_request *request, int fd)
{
    for (size_t i = 0; i < web->rule_count; i++) {
        struct web_rule *rule = &web->rules[i];
        if (strcmp(rule->method, request->method) != 0 ||
            strncmp(rule->path, request->target, strlen(rule->path)) != 0 || (rule->times && rule->used >= rule->times))
            continue;
        rule->used++;
        char *file = rule->body_file ? file_text(rule->body_file) : NULL;
        char *text = web_text(web, rule->body ? rule->body : "");
        struct stat status = { 0 };
        if (file)
            stat(rule->body_file, &status);
        web_answer(fd, rule->status, rule->headers, file ? file : text, file ? (size_t)status.st_size : strlen(text));
        mem_free(text);
        mem_free(file);
        return;
    }
    web_answer(fd, 404, NULL, "{\"message\":\"404 Not found\"}", 27);
}

/* Whether a rule sends git elsewhere. */
static inline bool web_is_moved(const struct web *web, const struct web_request *request)
{
    for (size_t i = 0; i < web->rule_count; i++)
        if (web->rules[i].status / 100 == 3 && strcmp(web->rules[i].method, request->method) == 0 &&
            strncmp(web->rules[i].path, request->target, strlen(web->rules[i].path)) == 0)
            return true;
    return false;
}

static inline void web_serve(struct web *web, int listener)
{
    for (;;) {
        struct web_request request = { .method = "" };
        char path[300];
        const int fd = accept(listener, NULL, NULL);
        if (fd < 0)
            _exit(0);
        if (web_read(fd, &request) == 0) {
            snprintf(path, sizeof path, "%s/body-%u", web->folder, ++web->requests);
            file_put(path, strbuf_text(&request.body), request.body.length);
            snprintf(path, sizeof path, "%s/requests", web->folder);
            FILE *log = fopen(path, "a");
            fprintf(log, "%s", strbuf_text(&request.head));
            fclose(log);
            if (strncmp(request.target, "/g/", 3) == 0 && !web_is_moved(web, &request) &&
                !strstr(request.target, "/info/lfs"))
                web_git(web, &request, fd);
            else
                web_by_rule(web, &request, fd);
        }
        strbuf_clear(&request.head);
        strbuf_clear(&request.body);
        shutdown(fd, SHUT_WR);
        close(fd);
    }
}

/* Starts the server for a pod, and points the pod's plan to it. Fill git_token and rules before. */
static inline void web_start(struct web *web, struct pod *pod)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof address;
    char text[300];
    snprintf(web->folder, sizeof web->folder, "%s/web", pod->root);
    mkdir(web->folder, 0755);
    const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listener, 64), 0);
    getsockname(listener, (struct sockaddr *)&address, &size);
    web->port = ntohs(address.sin_port);
    web->pid = fork();
    if (web->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* a failed test does not stop it */
        web_serve(web, listener);
    }
    close(listener);
    snprintf(text, sizeof text, "http://127.0.0.1:%u/api/v4", web->port);
    json_set_text(json_get(pod->plan, "server"), "api", text);
    snprintf(text, sizeof text, "http://gitlab-ci-token:%s@127.0.0.1:%u/g/p.git", web->git_token ? web->git_token : "x",
             web->port);
    json_set_text(json_get(pod->plan, "git"), "url", text);
}

static inline void web_stop(struct web *web)
{
    int status;
    kill(web->pid, SIGKILL);
    child_wait(&web->pid, &status);
}

/* The heads of all requests, as they came; mem_free. */
static inline char *web_requests(const struct web *web)
{
    char path[300];
    snprintf(path, sizeof path, "%s/requests", web->folder);
    char *text = file_text(path);
    return text ? text : mem_text("");
}

static inline unsigned web_count(const struct web *web, const char *words)
{
    unsigned count = 0;
    char *text = web_requests(web);
    for (const char *at = text; (at = strstr(at, words)); at++)
        count++;
    mem_free(text);
    return count;
}

#endif
