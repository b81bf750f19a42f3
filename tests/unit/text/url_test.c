#include "text/url.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

static void takes_urls_apart(void **state)
{
    (void)state;
    static const struct {
        const char *text, *origin, *user, *password, *host, *path, *query;
        unsigned port;
    } rows[] = {
        { "https://gitlab.example.com", "https://gitlab.example.com", NULL, NULL, "gitlab.example.com", "", NULL, 443 },
        { "HTTP://Host:8080/a/b?c=d#e", "http://host:8080", NULL, NULL, "host", "/a/b", "c=d", 8080 },
        { "https://u:p%40ss%2F@h/p.git", "https://h", "u", "p@ss/", "h", "/p.git", NULL, 443 },
        { "https://u@h:443/", "https://h", "u", NULL, "h", "/", NULL, 443 },
        { "https://a@b@h/", "https://h", "a@b", NULL, "h", "/", NULL, 443 },
        { "https://:@h", "https://h", "", "", "h", "", NULL, 443 },
        { "http://[::1]:80/x", "http://[::1]", NULL, NULL, "::1", "/x", NULL, 80 },
        { "https://[fe80::A]", "https://[fe80::a]", NULL, NULL, "fe80::a", "", NULL, 443 },
        { "http://h?", "http://h", NULL, NULL, "h", "", "", 80 },
        { "http://h:?x", "http://h", NULL, NULL, "h", "", "x", 80 },
        { "http://127.0.0.1:65535", "http://127.0.0.1:65535", NULL, NULL, "127.0.0.1", "", NULL, 65535 },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct url url;
        struct error error = ERROR_NONE;
        if (url_parse(rows[i].text, &url, &error) < 0)
            fail_msg("%s: %s", rows[i].text, error.text);
        OWNED_TEXT char *origin = url_origin(&url);
        assert_string_equal(origin, rows[i].origin);
        assert_string_equal(url.user ? url.user : "-", rows[i].user ? rows[i].user : "-");
        assert_string_equal(url.password ? url.password : "-", rows[i].password ? rows[i].password : "-");
        assert_string_equal(url.host, rows[i].host);
        assert_string_equal(url.path, rows[i].path);
        assert_string_equal(url.query ? url.query : "-", rows[i].query ? rows[i].query : "-");
        assert_int_equal(url.port, rows[i].port);
        url_clear(&url);
        url_clear(&url);
    }
}

static void refuses_what_others_might_read_otherwise(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",
        "host",
        "//host",
        "ftp://h",
        "http:/h",
        "http://",
        "https:///path",
        "http://h:0",
        "http://h:65536",
        "http://h:x",
        "http://h:123456",
        "http://[::1",
        "http://[]",
        "http://[12]",
        "http://::1",
        "http://h\\@evil",
        "http://h /x",
        "http://h\n",
        "http://u%zz@h",
        "http://u%00@h",
        "http://u:%@h",
        "http://h%41",
        "http://[::1]x",
        "httpsx://h",
    };
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        struct url url;
        struct error error = ERROR_NONE;
        if (url_parse(wrong[i], &url, &error) == 0)
            fail_msg("accepted: %s", wrong[i]);
        assert_int_equal(error.blame, BLAME_INPUT);
        assert_null(url.host);
    }
    struct url url;
    struct error error = ERROR_NONE;
    assert_int_equal(url_parse("ftp://user:secret@h/x?token=secret", &url, &error), -1);
    assert_null(strstr(error.text, "secret"));
}

static void escapes_all_but_unreserved(void **state)
{
    (void)state;
    OWNED_STRBUF struct strbuf out = STRBUF_EMPTY;
    url_escape("aZ0-._~/ ?&=%+\xC3\xBC", &out);
    assert_string_equal(strbuf_text(&out), "aZ0-._~%2F%20%3F%26%3D%25%2B%C3%BC");
}

static void finds_the_api(void **state)
{
    (void)state;
    static const struct {
        const char *configured, *root;
    } rows[] = {
        { "https://gitlab.example.com/", "https://gitlab.example.com/api/v4" },
        { "https://gitlab.example.com", "https://gitlab.example.com/api/v4" },
        { "https://h/ci", "https://h/api/v4" },
        { "https://h/ci///", "https://h/api/v4" },
        { "https://h/gitlab/ci/", "https://h/gitlab/api/v4" },
        { "http://h:8080/gitlab", "http://h:8080/gitlab/api/v4" },
        { "http://h/cix", "http://h/cix/api/v4" },
        { "ssh://h", NULL },
        { "https://h/?x", NULL },
        { "https://h/#x", NULL },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct error error = ERROR_NONE;
        OWNED_TEXT char *root = url_api_root(rows[i].configured, &error);
        assert_string_equal(root ? root : "-", rows[i].root ? rows[i].root : "-");
        assert_int_equal(error.blame, rows[i].root ? BLAME_NONE : BLAME_INPUT);
    }
}

static void people_see_no_secrets(void **state)
{
    (void)state;
    static const struct {
        const char *text, *shown;
    } rows[] = {
        { "https://gitlab-ci-token:glcbt-1@h/p.git", "https://h/p.git" },
        { "https://h/p?X-Amz-Signature=1", "https://h/p" },
        { "https://h/p#frag", "https://h/p" },
        { "s3://key:secret@bucket/x", "s3://bucket/x" },
        { "https://h/a@b", "https://h/a@b" },
        { "plain?x", "plain" },
        { "plain?x=https://u:p@h/", "plain" },
        { "http#s://u:p@h/", "http" },
        { "a\nb", "a?b" },
        { "", "" },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        OWNED_TEXT char *shown = url_for_people(rows[i].text);
        assert_string_equal(shown, rows[i].shown);
    }
}

static void knows_what_can_be_read_on_the_way(void **state)
{
    (void)state;
    static const char *const clear[] = { "http://gitlab.example",  "HTTP://dataops:8080/ci",   "http://10.0.0.7",
                                         "http://127.example.org", "http://localhost.example", "http://[::2]:80" };
    static const char *const not_clear[] = {
        "https://gitlab.example", "http://localhost:8080", "http://127.0.0.1", "http://127.8.8.8:99/api",
        "http://[::1]:8080",      "http://LOCALHOST",      "no url",           ""
    };
    for (size_t i = 0; i < COUNT_OF(clear); i++)
        assert_true(url_is_in_clear(clear[i]));
    for (size_t i = 0; i < COUNT_OF(not_clear); i++)
        assert_false(url_is_in_clear(not_clear[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_urls_apart),           cmocka_unit_test(refuses_what_others_might_read_otherwise),
        cmocka_unit_test(escapes_all_but_unreserved), cmocka_unit_test(finds_the_api),
        cmocka_unit_test(people_see_no_secrets),      cmocka_unit_test(knows_what_can_be_read_on_the_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
