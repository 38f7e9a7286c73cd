#include "table.h"

#include <stdlib.h>
#include <string.h>

#include "hash.h"

void table_init(struct table *table) { memset(table, 0, sizeof *table); }

static struct entry *find(struct table *table, const char *word, size_t length) {
    size_t at = hash_bytes(word, length) & (table->size - 1);
    while (table->entries[at].word != NULL) {
        if (strlen(table->entries[at].word) == length && memcmp(table->entries[at].word, word, length) == 0) break;
        at = (at + 1) & (table->size - 1);
    }
    return &table->entries[at];
}

static int grow(struct table *table) {
    struct table larger = {NULL, table->size == 0 ? 64 : table->size * 2, table->used};
    larger.entries = calloc(larger.size, sizeof *larger.entries);
    if (larger.entries == NULL) return 0;
    for (size_t i = 0; i < table->size; ++i) {
        struct entry *old = &table->entries[i];
        if (old->word != NULL) *find(&larger, old->word, strlen(old->word)) = *old;
    }
    free(table->entries);
    *table = larger;
    return 1;
}

int table_count(struct table *table, const char *word, size_t length) {
    if (table->used * 3 >= table->size * 2 && !grow(table)) return 0;
    struct entry *entry = find(table, word, length);
    if (entry->word == NULL) {
        entry->word = malloc(length + 1);
        if (entry->word == NULL) return 0;
        memcpy(entry->word, word, length);
        entry->word[length] = '\0';
        ++table->used;
    }
    ++entry->count;
    return 1;
}

static int by_count(const void *a, const void *b) {
    const struct entry *left = a, *right = b;
    if (left->count != right->count) return left->count < right->count ? 1 : -1;
    return strcmp(left->word, right->word);
}

void table_sort(struct table *table) {
    size_t kept = 0;
    for (size_t i = 0; i < table->size; ++i)
        if (table->entries[i].word != NULL) table->entries[kept++] = table->entries[i];
    for (size_t i = kept; i < table->size; ++i) table->entries[i].word = NULL;
    if (kept > 0) qsort(table->entries, kept, sizeof *table->entries, by_count);
}

void table_free(struct table *table) {
    for (size_t i = 0; i < table->size; ++i) free(table->entries[i].word);
    free(table->entries);
}
