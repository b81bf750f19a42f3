#include "access.h"

#include "base/strbuf.h"
#include "io/file.h"
#include "text/digest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka needs some of the above */
#include <cmocka.h>

static char folder[64];
static struct kube_access found;
static struct error error;

static int set_up(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/access_test_XXXXXX");
    found = (struct kube_access){ 0 };
    error = ERROR_NONE;
    return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    access_clear(&found);
    return file_remove_tree(folder, &error);
}

/* Path of a file in the folder; static. */
static const char *path(const char *name)
{
    static char text[2][128];
    static unsigned turn;
    turn = !turn;
    snprintf(text[turn], sizeof text[turn], "%s/%s", folder, name);
    return text[turn];
}

static void put(const char *name, const char *text)
{
    assert_int_equal(file_write(path(name), text, strlen(text), 0600, &error), 0);
}

static int find(struct kube_place place)
{
    access_clear(&found);
    error = ERROR_NONE;
    return access_find(&found, &place, &error);
}

static void an_ipv6_service_host_is_bracketed(void **state)
{
    (void)state;
    put("token", "abc\n");
    put("ca.crt", "PEM\n");
    assert_int_equal(
        find((struct kube_place){ .service_host = "fd00::1", .service_port = "443", .service_account = folder }), 0);
    assert_string_equal(found.server, "https://[fd00::1]:443");
    assert_string_equal(found.token, "abc");
    assert_null(found.ns);
    put("namespace", "jobs\n");
    assert_int_equal(
        find((struct kube_place){ .service_host = "10.96.0.1", .service_port = "443", .service_account = folder }), 0);
    assert_string_equal(found.server, "https://10.96.0.1:443");
    assert_string_equal(found.ns, "jobs");
}

static void a_file_that_cannot_be_read_keeps_the_old_value(void **state)
{
    (void)state;
    put("token", "one");
    put("ca.crt", "PEM");
    assert_int_equal(find((struct kube_place){ .service_host = "h", .service_port = "1", .service_account = folder }),
                     0);
    put("token", "two");
    access_refresh(&found);
    assert_string_equal(found.token, "two");
    put("token", " \n");
    access_refresh(&found);
    assert_string_equal(found.token, "two");
    assert_int_equal(remove(path("token")), 0);
    access_refresh(&found);
    assert_string_equal(found.token, "two");
}

static void outside_of_any_cluster_all_ways_are_named(void **state)
{
    (void)state;
    assert_int_equal(find((struct kube_place){ 0 }), -1);
    assert_int_equal(error.blame, BLAME_CONFIG);
    assert_non_null(strstr(error.text, "KUBECONFIG"));
    assert_int_equal(find((struct kube_place){ .service_host = "h", .service_port = "1", .service_account = folder }),
                     -1);
    assert_int_equal(error.blame, BLAME_CONFIG);
    assert_non_null(strstr(error.text, "token"));
}

static void a_host_needs_no_scheme(void **state)
{
    (void)state;
    put("ca", "PEM");
    assert_int_equal(find((struct kube_place){ .host = "h:6443/" }), 0);
    assert_string_equal(found.server, "http://h:6443");
    assert_int_equal(find((struct kube_place){ .host = "h:6443", .ca_file = path("ca") }), 0);
    assert_string_equal(found.server, "https://h:6443");
    assert_string_equal(found.ca_pem, "PEM");
    assert_int_equal(find((struct kube_place){ .host = "https://h/prefix//", .bearer_token = "t" }), 0);
    assert_string_equal(found.server, "https://h/prefix");
    assert_string_equal(found.token, "t");
    assert_int_equal(find((struct kube_place){ .host = "h", .cert_file = path("ca") }), -1);
    assert_int_equal(find((struct kube_place){ .host = "h", .ca_file = "/no/such" }), -1);
    assert_non_null(strstr(error.text, "ca_file"));
}

#define CLUSTER "clusters:\n- name: c\n  cluster:\n    server: https://10.0.0.1:6443\n"

static void a_kubeconfig_with_data_and_files(void **state)
{
    (void)state;
    put("ca.pem", "CA");
    put("tok", "from-file");
    put("config", "current-context: one\n"
                  "contexts:\n- name: one\n  context: {cluster: c, user: u, namespace: jobs}\n- name: two\n  context: "
                  "{cluster: d, user: v}\n"
                  "clusters:\n- name: c\n  cluster:\n    server: https://10.0.0.1:6443/k8s/\n    "
                  "certificate-authority: ca.pem\n    tls-server-name: api.test\n"
                  "- name: d\n  cluster: {server: 'https://[fd00::1]:6443', insecure-skip-tls-verify: true}\n"
                  "users:\n- name: u\n  user: {token: direct}\n"
                  "- name: v\n  user: {tokenFile: tok, client-certificate-data: Q0VSVA==, client-key-data: S0VZ}\n");
    assert_int_equal(find((struct kube_place){ .kubeconfig = path("config") }), 0);
    assert_string_equal(found.server, "https://10.0.0.1:6443/k8s");
    assert_string_equal(found.ca_pem, "CA");
    assert_string_equal(found.server_name, "api.test");
    assert_string_equal(found.token, "direct");
    assert_string_equal(found.ns, "jobs");
    assert_false(found.insecure);
    assert_int_equal(find((struct kube_place){ .kubeconfig = path("config"), .context = "two" }), 0);
    assert_string_equal(found.server, "https://[fd00::1]:6443");
    assert_true(found.insecure);
    assert_string_equal(found.token, "from-file");
    assert_string_equal(found.cert_pem, "CERT");
    assert_string_equal(found.key_pem, "KEY");
    assert_null(found.ns);
}

static void a_kubeconfig_may_be_json(void **state)
{
    (void)state;
    put("config",
        "{\"current-context\":\"x\",\"contexts\":[{\"name\":\"x\",\"context\":{\"cluster\":\"c\",\"user\":\"\"}}],"
        "\"clusters\":[{\"name\":\"c\",\"cluster\":{\"server\":\"http://127.0.0.1:8001\"}}],\"users\":null}");
    assert_int_equal(find((struct kube_place){ .kubeconfig = path("config") }), 0);
    assert_string_equal(found.server, "http://127.0.0.1:8001");
    assert_null(found.token);
}

static void several_files_count_as_one_and_the_first_wins(void **state)
{
    (void)state;
    put("one", "contexts:\n- name: x\n  context: {cluster: c, user: u}\nusers:\n- name: u\n  user: {token: first}\n");
    put("two", "current-context: x\n" CLUSTER "users:\n- name: u\n  user: {token: second}\n");
    OWNED_TEXT char *list = mem_format("%s/one:%s/missing:%s/two", folder, folder, folder);
    assert_int_equal(find((struct kube_place){ .kubeconfig = list }), 0);
    assert_string_equal(found.token, "first");
    assert_string_equal(found.server, "https://10.0.0.1:6443");
}

static void what_is_wrong_in_a_kubeconfig_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } rows[] = {
        { "a: [", "config" },
        { CLUSTER, "no current-context" },
        { "current-context: x\n" CLUSTER, "no context x" },
        { "current-context: x\ncontexts:\n- name: x\n  context: {cluster: missing, user: u}\n", "no server" },
        { "current-context: x\ncontexts:\n- name: x\n  context: {cluster: c, user: u}\n" CLUSTER
          "users:\n- name: u\n  user: {exec: {command: aws}}\n",
          "exec" },
        { "current-context: x\ncontexts:\n- name: x\n  context: {cluster: c, user: u}\n" CLUSTER
          "users:\n- name: u\n  user: {client-certificate-data: Q0VSVA==}\n",
          "belong together" },
        { "current-context: x\ncontexts:\n- name: x\n  context: {cluster: c, user: u}\n" CLUSTER
          "users:\n- name: u\n  user: {client-certificate-data: '***', client-key-data: S0VZ}\n",
          "not base64" },
        { "current-context: x\ncontexts:\n- name: x\n  context: {cluster: c, user: u}\n"
          "clusters:\n- name: c\n  cluster: {server: 'https:///'}\n",
          "no http or https URL" },
        { "current-context: x\ncontexts:\n- name: x\n  context: {cluster: c, user: u}\n"
          "clusters:\n- name: c\n  cluster: {server: 'unix:///run/kube.sock'}\n",
          "no http or https URL" },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        put("config", rows[i].text);
        assert_int_equal(find((struct kube_place){ .kubeconfig = path("config") }), -1);
        assert_int_equal(error.blame, BLAME_CONFIG);
        if (!strstr(error.text, rows[i].says))
            print_error("%s\n", error.text);
        assert_non_null(strstr(error.text, rows[i].says));
    }
    assert_int_equal(find((struct kube_place){ .kubeconfig = "/no/such/config" }), -1);
    assert_int_equal(error.blame, BLAME_CONFIG);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(an_ipv6_service_host_is_bracketed),
        CASE(a_file_that_cannot_be_read_keeps_the_old_value),
        CASE(outside_of_any_cluster_all_ways_are_named),
        CASE(a_host_needs_no_scheme),
        CASE(a_kubeconfig_with_data_and_files),
        CASE(a_kubeconfig_may_be_json),
        CASE(several_files_count_as_one_and_the_first_wins),
        CASE(what_is_wrong_in_a_kubeconfig_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
