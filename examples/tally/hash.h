#ifndef HASH_H
#define HASH_H

#include <stddef.h>
#include <stdint.h>

/* FNV-1a, 64 bits (the public-domain function of Fowler, Noll and Vo). */
uint64_t hash_bytes(const char *bytes, size_t size);

#endif
