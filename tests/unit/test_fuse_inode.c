#include "fuse/inode.h"

#include "suite.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static struct kv_inodes inodes;

static void setup(void)
{
    ck_assert_int_eq(kv_inodes_init(&inodes, KV_ROOT_ID, "", 0), 0);
    kv_lock(&inodes.lock);
}

static void teardown(void)
{
    kv_unlock(&inodes.lock);
    kv_inodes_done(&inodes);
}

static struct kv_inode *enter(struct kv_inode *parent, const char *name, uint64_t id,
                              uint64_t revision)
{
    struct kv_inode *inode;
    ck_assert_int_eq(kv_inodes_enter_locked(&inodes, parent, name, strlen(name), id,
                                            S_IFREG, revision, &inode),
                     0);
    return inode;
}

static void assert_path(const struct kv_inode *inode, const char *name,
                        const char *expected)
{
    struct kv_path path;
    ck_assert_int_eq(kv_inode_path_locked(inode, name, name ? strlen(name) : 0, &path),
                     0);
    ck_assert_str_eq(path.key, expected);
    ck_assert_uint_eq(path.len, strlen(expected));
}

static void move(struct kv_inode *inode, struct kv_inode *parent, const char *key,
                 uint64_t revision)
{
    ck_assert_int_eq(
        kv_inode_move_locked(&inodes, inode, parent, key, strlen(key), revision), 0);
}

START_TEST(gone_inode_is_nameless_once_its_name_is_taken_from_the_kernel)
{
    struct kv_inode *inode = enter(inodes.root, "a", 2, 1);
    ck_assert(!kv_inode_nameless_locked(inode, 9));
    inode->gone = true;
    ck_assert(kv_inode_nameless_locked(inode, 9));
    inode->moved_revision = 10;
    ck_assert(!kv_inode_nameless_locked(inode, 9));
    ck_assert(kv_inode_nameless_locked(inode, 10));
    inode->moved_revision = KV_NAME_KEPT;
    ck_assert(!kv_inode_nameless_locked(inode, 10));
}
END_TEST

START_TEST(path_is_found_by_walking_up)
{
    struct kv_inode *a = enter(inodes.root, "a", 2, 1), *b = enter(a, "b", 3, 1);
    assert_path(inodes.root, NULL, "");
    assert_path(inodes.root, "x", "x");
    assert_path(a, NULL, "a");
    assert_path(b, NULL, "a/b");
    assert_path(b, "file", "a/b/file");
}
END_TEST

START_TEST(rename_of_a_directory_moves_what_is_below)
{
    struct kv_inode *a = enter(inodes.root, "a", 2, 1), *b = enter(a, "b", 3, 1);
    struct kv_inode *c = enter(inodes.root, "c", 4, 1);
    move(a, c, "c/new", 2);
    assert_path(b, NULL, "c/new/b");
}
END_TEST

START_TEST(path_of_500_bytes_fits_and_one_more_does_not)
{
    char name[250];
    memset(name, 'n', sizeof(name));
    name[249] = '\0';
    struct kv_inode *a = enter(inodes.root, name, 2, 1);
    struct kv_path path;
    name[249] = 'n';
    ck_assert_int_eq(kv_inode_path_locked(a, name, 250, &path), 0);
    ck_assert_uint_eq(path.len, KV_KEY_MAX);
    char longer[251];
    memset(longer, 'm', sizeof(longer));
    ck_assert_int_eq(kv_inode_path_locked(a, longer, 251, &path), -ENAMETOOLONG);
}
END_TEST

START_TEST(older_word_about_the_place_is_ignored)
{
    struct kv_inode *a = enter(inodes.root, "a", 2, 1);
    move(a, inodes.root, "b", 5);
    enter(inodes.root, "a", 2, 4);
    assert_path(a, NULL, "b");
    ck_assert_uint_eq(a->nlookup, 2);
    enter(inodes.root, "c", 2, 5);
    assert_path(a, NULL, "c");
}
END_TEST

START_TEST(move_to_an_unknown_directory_detaches)
{
    struct kv_inode *a = enter(inodes.root, "a", 2, 1), *file = enter(a, "file", 3, 1);
    move(file, NULL, "far/away/it", 2);
    assert_path(file, NULL, "far/away/it");
    ck_assert_ptr_null(file->parent);
    /* The directory's own moves no longer concern it, a lookup attaches it again. */
    move(a, inodes.root, "z", 3);
    assert_path(file, NULL, "far/away/it");
    enter(a, "back", 3, 4);
    assert_path(file, NULL, "z/back");
}
END_TEST

START_TEST(forget_frees_the_entry_with_the_last_lookup)
{
    struct kv_inode *a = enter(inodes.root, "a", 2, 1);
    enter(inodes.root, "a", 2, 1);
    kv_inodes_forget_locked(&inodes, a, 1);
    ck_assert_ptr_eq(kv_inodes_find_locked(&inodes, 2), a);
    kv_inodes_forget_locked(&inodes, a, 1);
    ck_assert_ptr_null(kv_inodes_find_locked(&inodes, 2));
    ck_assert_uint_eq(inodes.count, 1);
}
END_TEST

START_TEST(forgotten_directory_stays_while_something_is_below)
{
    struct kv_inode *a = enter(inodes.root, "a", 2, 1), *b = enter(a, "b", 3, 1);
    kv_inodes_forget_locked(&inodes, a, 1);
    assert_path(b, NULL, "a/b");
    kv_inodes_forget_locked(&inodes, b, 1);
    ck_assert_ptr_null(kv_inodes_find_locked(&inodes, 2));
    ck_assert_ptr_null(kv_inodes_find_locked(&inodes, 3));
}
END_TEST

START_TEST(reference_keeps_the_entry)
{
    struct kv_inode *a = enter(inodes.root, "a", 2, 1);
    kv_inode_ref_locked(a);
    kv_inodes_forget_locked(&inodes, a, 1);
    assert_path(a, NULL, "a");
    kv_inode_unref_locked(&inodes, a);
    ck_assert_ptr_null(kv_inodes_find_locked(&inodes, 2));
}
END_TEST

START_TEST(root_cannot_be_forgotten)
{
    kv_inodes_forget_locked(&inodes, inodes.root, 1);
    ck_assert_ptr_eq(kv_inodes_find_locked(&inodes, KV_ROOT_ID), inodes.root);
    ck_assert_uint_eq(inodes.root->nlookup, 1);
}
END_TEST

START_TEST(forget_makes_the_kernel_confirm_again)
{
    struct kv_inode *a = enter(inodes.root, "a", 2, 1);
    enter(inodes.root, "a", 2, 1);
    a->confirmed = true;
    kv_inodes_forget_locked(&inodes, a, 1);
    ck_assert(!a->confirmed);
}
END_TEST

START_TEST(nothing_is_in_a_directory_that_is_gone)
{
    struct kv_inode *a = enter(inodes.root, "a", 2, 1);
    struct kv_path path;
    a->gone = true;
    ck_assert_int_eq(kv_inode_path_locked(a, "x", 1, &path), -ESTALE);
    ck_assert_int_eq(kv_inode_path_locked(a, NULL, 0, &path), 0);
}
END_TEST

START_TEST(pending_name_is_found_where_it_is)
{
    struct kv_inode *a = enter(inodes.root, "a", 2, 1);
    struct kv_inode *file = enter(inodes.root, "file", 3, 0);
    kv_inode_set_pending_locked(file, calloc(1, sizeof(struct kv_pending)));
    ck_assert_ptr_eq(kv_inode_pending_child_locked(inodes.root, "file", 4), file);
    ck_assert_ptr_null(kv_inode_pending_child_locked(inodes.root, "fil", 3));
    ck_assert_ptr_null(kv_inode_pending_child_locked(a, "file", 4));
    move(file, a, "a/other", 2);
    ck_assert_ptr_null(kv_inode_pending_child_locked(inodes.root, "file", 4));
    ck_assert_ptr_eq(kv_inode_pending_child_locked(a, "other", 5), file);
    kv_inode_clear_pending_locked(file);
    ck_assert_ptr_null(kv_inode_pending_child_locked(a, "other", 5));
}
END_TEST

START_TEST(table_grows_and_finds_every_inode)
{
    const uint64_t count = 20000;
    char name[32];
    for (uint64_t id = 2; id < count; id++) {
        (void)snprintf(name, sizeof(name), "n%llu", (unsigned long long)id);
        enter(inodes.root, name, id, 1);
    }
    ck_assert_uint_eq(inodes.count, count - 1);
    for (uint64_t id = 2; id < count; id++) {
        struct kv_inode *inode = kv_inodes_find_locked(&inodes, id);
        ck_assert_ptr_nonnull(inode);
        (void)snprintf(name, sizeof(name), "n%llu", (unsigned long long)id);
        ck_assert_str_eq(inode->name, name);
        kv_inodes_forget_locked(&inodes, inode, 1);
    }
    ck_assert_uint_eq(inodes.count, 1);
}
END_TEST

KV_SUITE_WITH("fuse_inode", setup, teardown, path_is_found_by_walking_up,
              rename_of_a_directory_moves_what_is_below,
              path_of_500_bytes_fits_and_one_more_does_not,
              older_word_about_the_place_is_ignored,
              move_to_an_unknown_directory_detaches,
              forget_frees_the_entry_with_the_last_lookup,
              forgotten_directory_stays_while_something_is_below,
              reference_keeps_the_entry, root_cannot_be_forgotten,
              forget_makes_the_kernel_confirm_again,
              nothing_is_in_a_directory_that_is_gone,
              gone_inode_is_nameless_once_its_name_is_taken_from_the_kernel,
              pending_name_is_found_where_it_is, table_grows_and_finds_every_inode)
