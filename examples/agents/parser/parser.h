/* A parser that has something left to do. */
int parse(const char *text);
