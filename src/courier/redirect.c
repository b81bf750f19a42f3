#include "redirect.h"

#include "context.h"
#include "git.h"
#include "io/http.h"
#include "transfer.h"

struct redirect {
    struct git *git;
    struct http_call *call;
    char *url; /* the last step */
    redirect_moved *moved;
    void *owner;
};

static int step_taken(void *owner, const char *url, bool is_elsewhere UNUSED)
{
    struct redirect *redirect = owner;
    mem_free(redirect->url);
    redirect->url = mem_text(url);
    return 0;
}

/* Where it leads is known; what is said there is git's business. */
static int answer_refused(void *owner UNUSED, const char *bytes UNUSED, size_t length UNUSED)
{
    return -1;
}

static void asked(void *owner, const struct http_reply *reply UNUSED, const struct error *said)
{
    struct redirect *redirect = owner;
    struct error error = *said;
    char *place = NULL;
    bool is_elsewhere = false;
    redirect->call = NULL;
    if (!redirect->url && error.blame == BLAME_NONE)
        error_set(&error, BLAME_REMOTE, 0, "the repository's server sends git elsewhere and does not say where");
    /* a call that was stopped at its answer says so as an error, and has its last step nevertheless */
    const bool goes_on = redirect->url && git_move(redirect->git, redirect->url, &place, &is_elsewhere, &error) == 0;
    redirect->moved(redirect->owner, goes_on ? place : NULL, is_elsewhere, &error);
    mem_free(place);
}

struct redirect *redirect_ask(const struct context *context, struct git *git, redirect_moved *moved, void *owner)
{
    struct http_tls tls;
    const char *login = git_login(git);
    const char *const headers[] = { login ? login : "Accept: */*", NULL };
    OWNED_TEXT char *url = mem_format("%s" GIT_REFS_PATH "?service=git-upload-pack", git_url(git));
    transfer_tls(context, &tls);
    const struct http_request request = { .method = "GET",
                                          .url = url,
                                          .headers = headers,
                                          .tls = &tls,
                                          .sink = answer_refused,
                                          .follow_redirects = true,
                                          .moved = step_taken };
    struct redirect *redirect = mem_new(sizeof *redirect);
    redirect->git = git;
    redirect->moved = moved;
    redirect->owner = owner;
    redirect->call = http_start(context->http, &request, asked, redirect);
    return redirect;
}

void redirect_free(struct redirect *redirect)
{
    if (!redirect)
        return;
    http_cancel(redirect->call);
    mem_free(redirect->url);
    mem_free(redirect);
}
