#ifndef KV_TESTS_VALUE_H
#define KV_TESTS_VALUE_H

/* Values that prove themselves: the value of a sequence number has a length and a
 * content that both follow from the number, and every 32 bytes of it name the number
 * and their own place. So an empty, short, mixed or older value is told from a whole
 * one. Text, for the sake of whoever must read a failed one. */

#include <stddef.h>
#include <stdint.h>

#define VALUE_MAX (300 * 1024)

/* 1..VALUE_MAX; both ends come up often. */
size_t value_length(uint64_t sequence);

/* Write the value into buf (VALUE_MAX bytes of room); its length. */
size_t value_make(uint64_t sequence, char *buf);

/* The number within low..high whose value these bytes are, or -1. (Values of less than
 * 16 bytes do not spell the whole number: the first that fits is returned.) */
int64_t value_check(const char *bytes, size_t len, uint64_t low, uint64_t high);

#endif
