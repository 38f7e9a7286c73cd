#ifndef TABLE_H
#define TABLE_H

#include <stddef.h>

/* One word and how often it came. */
struct entry {
    char *word;
    unsigned long count;
};

/* Open addressing, grown at two thirds; size is a power of two. */
struct table {
    struct entry *entries;
    size_t size, used;
};

void table_init(struct table *table);
/* Counts one word; 0 when memory ran out. */
int table_count(struct table *table, const char *word, size_t length);
/* Puts the words together, the most frequent first. The table cannot be counted into afterwards. */
void table_sort(struct table *table);
void table_free(struct table *table);

#endif
