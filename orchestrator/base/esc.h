/*
 * esc - the only way for a name or for remote text to reach any output.
 *
 * Control bytes, DEL, C1, bidi and zero-width characters, invalid UTF-8 and backslash become \ooo (one for
 * each byte); everything else stays readable.  Used for terminal, log, JSON, commits and pages alike, so that
 * a file name can neither drive a terminal nor break a line (transfer.md 53).
 */
#ifndef ESC_H
#define ESC_H

#include "buf.h"

/* Append the escaped form of n bytes. */
void esc_put(struct buf *b, const void *p, size_t n);

/* Escaped copy, owned by the caller; NULL only when memory is exhausted. */
char *esc_dup(const void *p, size_t n);

/* Escaped form in a caller's array, cut at its size; returns out.  For messages: esc_str(ESC(path)). */
char *esc_into(char *out, size_t size, const void *p, size_t n);
struct esc_tmp { char s[512]; };
#define esc_s(str) (esc_into((struct esc_tmp){{0}}.s, sizeof(struct esc_tmp), (str), __builtin_strlen(str)))

/*
 * The stricter form for mtree(5) words: as above, and space, '#', '=', '*', '?', '[' and every byte outside
 * printable ASCII are escaped too, so that any mtree reader (strunvis) gives back the exact bytes.
 */
void esc_put_mtree(struct buf *b, const void *p, size_t n);

/* Bytes of the valid UTF-8 sequence that p (n >= 1 bytes) begins with: 1-4, or 0 when there is none. */
size_t esc_utf8_len(const void *p, size_t n);

/* Drops an incomplete UTF-8 sequence from the end of a text that was cut to fit: half a character is no text. */
void esc_trim(char *s);

/* Undo \ooo.  Appends to b; false on a malformed escape. */
bool esc_undo(struct buf *b, const char *s, size_t n);

#endif
