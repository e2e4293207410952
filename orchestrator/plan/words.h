/* words - the words of a plan's enums, each in the order of its enum, NULL at the end. */
#ifndef PLAN_WORDS_H
#define PLAN_WORDS_H

extern const char *const kind_words[], *const stage_words[], *const point_words[], *const role_words[],
    *const client_words[], *const dataset_words[], *const activate_words[], *const foreign_words[], *const scan_words[],
    *const when_words[], *const driver_words[], *const method_words[], *const verdict_words[];

/* Index of s in words, or -1. */
int word_index(const char *const *words, const char *s);

#endif
