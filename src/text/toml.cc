// The one C++ file: toml++ builds its own tree, which is copied into ours. Nothing is thrown: the library is set to
// return its errors, and parse is noexcept, so that a failed allocation ends the process as everywhere else.
#define TOML_EXCEPTIONS        0
#define TOML_ENABLE_FORMATTERS 0

#include <toml++/toml.h>

#include <algorithm>
#include <cstring>
#include <sstream>
#include <vector>

extern "C" {
#include "text/toml.h"
}

namespace
{

constexpr std::size_t input_most = 4 * MIB;
constexpr unsigned depth_most = 100;
constexpr unsigned dots_most = 1000; // in one line: the library recurses once for each part of a dotted key

struct member {
    const toml::key *key;
    const toml::node *node;
};

struct tree *copy_node(const toml::node &node, const char *key, unsigned line, unsigned depth, struct error *error);

int wrong(struct error *error, unsigned line, const char *why)
{
    return error_set(error, BLAME_CONFIG, 0, "line %u: %s", line, why);
}

// NUL would cut a C string short.
bool has_nul(std::string_view text)
{
    return text.find('\0') != std::string_view::npos;
}

char *copy_text(std::string_view text)
{
    return mem_copy(text.data(), text.size());
}

template <typename Value> char *printed(const Value &value)
{
    std::ostringstream out;
    out << value;
    return copy_text(out.str());
}

// The library sorts members by name; ours stand as they were written.
std::vector<member> members_in_order(const toml::table &table)
{
    std::vector<member> members;
    for (const auto &[key, node] : table)
        members.push_back({ &key, &node });
    std::stable_sort(members.begin(), members.end(),
                     [](const member &a, const member &b) { return a.key->source().begin < b.key->source().begin; });
    return members;
}

int copy_table(const toml::table &table, struct tree *tree, unsigned depth, struct error *error)
{
    for (const member &each : members_in_order(table)) {
        unsigned line = each.key->source().begin.line;
        if (has_nul(each.key->str()))
            return wrong(error, line, "a key holds a NUL character");
        std::string name(each.key->str());
        struct tree *child = copy_node(*each.node, name.c_str(), line, depth + 1, error);
        if (!child)
            return -1;
        tree_append(tree, child);
    }
    return 0;
}

int copy_list(const toml::array &array, struct tree *tree, unsigned depth, struct error *error)
{
    for (const toml::node &each : array) {
        struct tree *child = copy_node(each, nullptr, each.source().begin.line, depth + 1, error);
        if (!child)
            return -1;
        tree_append(tree, child);
    }
    return 0;
}

int copy_text_value(const std::string &text, struct tree *tree, struct error *error)
{
    if (has_nul(text))
        return wrong(error, tree->line, "a text holds a NUL character");
    tree->kind = TREE_TEXT;
    tree->text = copy_text(text);
    return 0;
}

void copy_number(const toml::node &node, struct tree *tree)
{
    if (node.is_integer()) {
        tree->kind = TREE_INTEGER;
        tree->integer = node.as_integer()->get();
        tree->number = static_cast<double>(tree->integer);
        tree->text = mem_format("%lld", static_cast<long long>(tree->integer));
    } else {
        tree->kind = TREE_FLOAT;
        tree->number = node.as_floating_point()->get();
        tree->text = mem_format("%.15g", tree->number);
    }
}

void copy_scalar(const toml::node &node, struct tree *tree)
{
    tree->kind = TREE_TEXT;
    if (node.is_boolean()) {
        tree->kind = TREE_BOOLEAN;
        tree->integer = node.as_boolean()->get();
        tree->text = mem_text(tree->integer ? "true" : "false");
    } else if (node.is_date()) {
        tree->text = printed(node.as_date()->get());
    } else if (node.is_time()) {
        tree->text = printed(node.as_time()->get());
    } else if (node.is_date_time()) {
        tree->text = printed(node.as_date_time()->get());
    } else {
        copy_number(node, tree);
    }
}

struct tree *copy_node(const toml::node &node, const char *key, unsigned line, unsigned depth, struct error *error)
{
    int result = 0;
    if (depth > depth_most) {
        wrong(error, line, "nested too deep");
        return nullptr;
    }
    struct tree *tree = tree_new(TREE_NULL, key, line);
    if (node.is_table()) {
        tree->kind = TREE_TABLE;
        result = copy_table(*node.as_table(), tree, depth, error);
    } else if (node.is_array()) {
        tree->kind = TREE_LIST;
        result = copy_list(*node.as_array(), tree, depth, error);
    } else if (node.is_string()) {
        result = copy_text_value(node.as_string()->get(), tree, error);
    } else {
        copy_scalar(node, tree);
    }
    if (result == 0)
        return tree;
    tree_free(tree);
    return nullptr;
}

int check_input(std::string_view text, struct error *error)
{
    unsigned line = 1, dots = 0;
    if (text.size() > input_most)
        return error_set(error, BLAME_CONFIG, 0, "longer than 4 MiB");
    for (std::size_t i = 0; i < text.size(); i++) {
        if (text[i] == '\n') {
            line++;
            dots = 0;
        } else if (text[i] == '.' && i > 0 && text[i - 1] != '.' && ++dots > dots_most) {
            return wrong(error, line, "too many dots");
        }
    }
    return 0;
}

struct tree *parse(std::string_view input, struct error *error) noexcept
{
    if (check_input(input, error) < 0)
        return nullptr;
    const toml::parse_result result = toml::parse(input);
    if (!result) {
        std::string why(result.error().description());
        wrong(error, result.error().source().begin.line, why.c_str());
        return nullptr;
    }
    return copy_node(result.table(), nullptr, 1, 0, error);
}

} // namespace

extern "C" struct tree *toml_parse(const char *text, size_t length, struct error *error)
{
    return parse(std::string_view(text, length), error);
}
