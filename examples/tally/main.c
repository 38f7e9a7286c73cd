/* tally: counts the words of its input, the most frequent first. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "table.h"

int main(void) {
    struct table table;
    char word[256];
    size_t length = 0;
    int c;

    table_init(&table);
    do {
        c = getchar();
        if (c != EOF && !isspace(c)) {
            if (length < sizeof word) word[length++] = (char)c;
            continue;
        }
        if (length > 0 && !table_count(&table, word, length)) {
            fputs("tally: out of memory\n", stderr);
            return EXIT_FAILURE;
        }
        length = 0;
    } while (c != EOF);
    table_sort(&table);
    for (size_t i = 0; i < table.used; ++i) printf("%lu %s\n", table.entries[i].count, table.entries[i].word);
    table_free(&table);
    return EXIT_SUCCESS;
}
